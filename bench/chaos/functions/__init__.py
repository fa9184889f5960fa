"""The job types of a chaos run. The workers search this package alone."""
