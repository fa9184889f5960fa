"""The pages for browsers, rendered on the server."""

from . import audit, bulk, catalogue, groups, job, jobs, keys, live, overview, pauses, schedules, submit
from .blueprint import blueprint

#: The modules with the blueprint's views.
VIEWS = (audit, bulk, catalogue, groups, job, jobs, keys, live, overview, pauses, schedules, submit)

__all__ = ["VIEWS", "blueprint"]
