"""The file store as an attempt uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .running import at_end

if TYPE_CHECKING:
    from jobs.engine.files.files import FileStore


def attempt_store() -> FileStore:
    """Return this process's file store. Its connections are closed when the attempt ends.

    A process that is reused must have no connection that it did not have before.
    """
    # Here, because it imports the broker's client, which most processes don't need.
    from jobs.engine.files.files import disconnect, own_store

    at_end(disconnect)
    return own_store()
