"""The pages for browsers, rendered on the server."""

from . import audit, catalogue, groups, job, jobs, keys, live, overview, pauses, schedules, submit
from .blueprint import blueprint

#: The modules with the blueprint's views.
VIEWS = (audit, catalogue, groups, job, jobs, keys, live, overview, pauses, schedules, submit)

__all__ = ["VIEWS", "blueprint"]
