"""Removing what expiry left over. The engine submits it once a day."""

from __future__ import annotations

from jobs.engine import job
from jobs.engine.operate.cleanup import Removed, remove_leftovers


@job(priority="low", timeout=3600, max_running=1)
def clean_up() -> Removed:
    """Remove what expired: bytes of files that are gone, half-written blobs, and what removed users had stored.

    What can still be reached is never touched, so anybody may run it at any time.
    """
    return remove_leftovers()
