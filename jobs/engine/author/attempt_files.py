"""The file store as an attempt uses it."""

from __future__ import annotations

from jobs.engine.files.files import FileStore, disconnect, own_store

from .running import at_end


def attempt_store() -> FileStore:
    """Return this process's file store. Its connections are closed when the attempt ends.

    A process that is reused must have no connection that it did not have before.
    """
    at_end(disconnect)
    return own_store()
