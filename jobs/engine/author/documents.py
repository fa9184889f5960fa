"""JSON documents and blobs of one user, changed by one job at a time.

A change is made under a lock in the broker, since other jobs may run on other hosts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jobs.engine.errors import TryAgainLater
from jobs.engine.settings import settings

from .blobs import blob_exists, read_blob, user_path, write_blob
from .running import current_job

#: The lock of a dead holder is free after its lifetime. Others wait for longer than that, so they still get it.
LOCK_LIFETIME_SECONDS = 30.0
LOCK_WAIT_SECONDS = 45.0

#: Without a job there is one process, and it needs no broker.
_outside_jobs = threading.Lock()


@contextmanager
def user_document(name: str, *, user_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Change a JSON document of the current job's user. A new document is empty.

    The document is read under a lock, and replaced when the block ends without an error. Do slow work before the
    block, which has 30 seconds. Outside a job, the document belongs to the local user, and the lock to this process.

    Raises:
        TryAgainLater: the document stayed in use, or the block took so long that another job has the document.
        BrokerUnavailable: the broker, which holds the lock, can't be reached.
    """
    path = user_path(f"documents/{name}.json", user_id)
    with _locked(path, shared=user_id is not None or current_job() is not None) as renew:
        before = read_blob(path) if blob_exists(path) else b"{}"
        document: dict[str, Any] = json.loads(before)
        yield document
        after = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        if after != before:
            renew()
            write_blob(path, after)


@dataclass
class HeldBlob:
    """A blob that no other job can change for the moment. Set `data` to change it; a new blob is empty."""

    data: bytes


@contextmanager
def user_blob(name: str, *, user_id: str | None = None) -> Iterator[HeldBlob]:
    """Change a blob of the current job's user, as `user_document` changes a document. Raises the same errors."""
    path = user_path(name, user_id)
    with _locked(path, shared=user_id is not None or current_job() is not None) as renew:
        before = read_blob(path) if blob_exists(path) else b""
        blob = HeldBlob(before)
        yield blob
        if blob.data != before:
            renew()
            write_blob(path, blob.data)


@contextmanager
def _locked(path: str, *, shared: bool) -> Iterator[Callable[[], None]]:
    """Hold the lock of a path. The value of the block renews the lock before a write."""
    if not shared:
        with _outside_jobs:
            yield lambda: None
        return
    from redis.exceptions import LockNotOwnedError

    from jobs.engine.broker.connection import broker_errors, connect

    connection = connect(settings())
    lock = connection.lock(f"wh:lock:{path}", timeout=LOCK_LIFETIME_SECONDS, blocking_timeout=LOCK_WAIT_SECONDS)

    def renew() -> None:
        """Start a new lifetime, which leaves enough time for the write."""
        try:
            with broker_errors():
                lock.reacquire()
        except LockNotOwnedError:
            raise TryAgainLater(f"{path!r} was held for too long, and another job has it now.") from None

    try:
        with broker_errors():
            if not lock.acquire():
                raise TryAgainLater(f"{path!r} is in use; try again shortly.", retry_after=LOCK_LIFETIME_SECONDS)
        try:
            yield renew
        finally:
            _release(lock)
    finally:
        connection.close()


def _release(lock: Any) -> None:
    from redis.exceptions import LockError

    from jobs.engine.broker.connection import broker_errors

    try:
        with broker_errors():
            lock.release()
    except (LockError, TryAgainLater):
        pass  # the lock expires by itself, and the change is made
