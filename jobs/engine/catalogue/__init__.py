"""The job types: JSON Schemas from type hints, and checks of parameters and results.

Every room above may use the catalogue. It imports the job modules once, at start-up; afterwards nothing in it changes.
It has no keys in the broker, and never connects to it.
"""
