"""The pages that people use in a browser, rendered here: what can be run, what runs, and how it went."""

from . import audit, catalogue, groups, job, jobs, keys, live, overview, schedules, submit
from .blueprint import blueprint

#: The modules whose views the blueprint has.
VIEWS = (audit, catalogue, groups, job, jobs, keys, live, overview, schedules, submit)

__all__ = ["VIEWS", "blueprint"]
