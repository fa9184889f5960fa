"""What runs in the environments of the peers. Nothing here may import this project: they don't have it."""
