"""The job types of a chaos run. The workers load only this package."""
