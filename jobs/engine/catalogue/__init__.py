"""The job types: from type hints to JSON Schemas, and checks of parameters and results."""
