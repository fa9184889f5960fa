"""A module that only one job type needs."""
