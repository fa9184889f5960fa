"""Removing the data that expired records leave behind. The engine submits this job once a day."""

from __future__ import annotations

from jobs.engine import job
from jobs.engine.operate.cleanup import Removed, remove_leftovers


@job(priority="low", timeout=3600, max_running=1)
def clean_up() -> Removed:
    """Remove stored data that nothing refers to any longer.

    This is the content of expired files, half-written blobs, and the data of deleted users. Data that is still in use
    is never touched, so every user may run this job at any time.
    """
    return remove_leftovers()
