"""The modules that run in the environments of the peers. This project is not installed there."""
