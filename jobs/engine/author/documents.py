"""What jobs keep between runs: blobs in STORAGE_URL, and JSON documents of one user.

Web and workers may be on different hosts, so nothing here relies on a shared disk: a document
is changed under a lock held in the broker.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis.exceptions import LockError, LockNotOwnedError

from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.errors import BlobNotFound, TryAgainLater
from jobs.engine.files.filesystem import open_filesystem
from jobs.engine.settings import Settings, settings

from .running import current_job

#: A dead holder's lock is free after this. Whoever waits, waits longer, so a death alone fails nobody.
LOCK_LIFETIME_SECONDS = 30.0
LOCK_WAIT_SECONDS = 45.0

#: Whose documents are meant outside a job, and in a job that belongs to nobody.
LOCAL_USER = "local"

#: What a blob is called while it is written; it can be no blob's name.
DRAFT_PREFIX = ".draft-"

_PATH = re.compile(r"[\w%@+=-][\w%@+=.-]*(/[\w%@+=-][\w%@+=.-]*)*", re.ASCII)
_outside_jobs = threading.Lock()
#: Of a call that runs a function outside a job, for a user.
_caller: ContextVar[str | None] = ContextVar("caller", default=None)


def read_blob(path: str) -> bytes:
    """Read a stored blob.

    Raises:
        BlobNotFound: if nothing is stored at `path`.
    """
    filesystem, place = _locate(path)
    try:
        return bytes(filesystem.cat_file(place))
    except FileNotFoundError:
        raise BlobNotFound(f"Nothing is stored at {path!r}.") from None


def write_blob(path: str, data: bytes) -> None:
    """Store a blob, replacing what was there in one step: a reader sees the old bytes or the new ones."""
    filesystem, place = _locate(path)
    if "file" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)):
        _replace_file(Path(place), data)
    else:
        filesystem.pipe_file(place, data)  # one PUT in an object store, which is atomic


def blob_exists(path: str) -> bool:
    """Whether something is stored at `path`."""
    filesystem, place = _locate(path)
    return bool(filesystem.isfile(place))


def user_path(name: str, user_id: str | None = None) -> str:
    """Where a user's own blob of that name lives: of `user_id`, else of the current job's user."""
    return f"users/{quote(user_id or _current_user(), safe='').replace('.', '%2E')}/{name}"


@contextmanager
def user_document(name: str, *, user_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Change a JSON document of the current job's user; it is empty at first.

    It is read under a lock and replaced when the block ends without an error. Do slow work before the
    block: it has 30 s. Outside a job the document is the local user's and the lock this process's own.

    Raises:
        TryAgainLater: if the document stayed in use, or the block took so long that somebody else has it now.
        BrokerUnavailable: if the broker, which holds the lock, can't be reached.
    """
    path = user_path(f"documents/{name}.json", user_id)
    with _locked(path, shared=user_id is not None or current_job() is not None) as still_ours:
        before = read_blob(path) if blob_exists(path) else b"{}"
        document: dict[str, Any] = json.loads(before)
        yield document
        after = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        if after != before:
            still_ours()
            write_blob(path, after)


@dataclass
class HeldBlob:
    """A blob while nobody else may change it; empty if there is none. What `data` is in the end is stored."""

    data: bytes


@contextmanager
def user_blob(name: str, *, user_id: str | None = None) -> Iterator[HeldBlob]:
    """Change a blob of the current job's user, as `user_document` changes a document. Raises the same."""
    path = user_path(name, user_id)
    with _locked(path, shared=user_id is not None or current_job() is not None) as still_ours:
        before = read_blob(path) if blob_exists(path) else b""
        blob = HeldBlob(before)
        yield blob
        if blob.data != before:
            still_ours()
            write_blob(path, blob.data)


@contextmanager
def on_behalf_of(user_id: str) -> Iterator[None]:
    """Outside a job: what is read in this block is this user's."""
    token = _caller.set(user_id)
    try:
        yield
    finally:
        _caller.reset(token)


def delete_user_blobs(user_id: str, of: Settings) -> None:
    """Remove all that a user has stored: whoever takes the name next must not find it."""
    filesystem, place = _locate(user_path("documents", user_id).rpartition("/")[0], of)
    try:
        filesystem.rm(place, recursive=True)
    except FileNotFoundError:
        pass


def _current_user() -> str:
    job = current_job()
    return (job.user_id if job else None) or _caller.get() or LOCAL_USER


@contextmanager
def _locked(path: str, *, shared: bool) -> Iterator[Any]:
    if not shared:
        with _outside_jobs:
            yield lambda: None
        return
    connection = connect(settings())
    lock = connection.lock(f"wh:lock:{path}", timeout=LOCK_LIFETIME_SECONDS, blocking_timeout=LOCK_WAIT_SECONDS)

    def still_ours() -> None:
        """Begin a new lifetime, so that what follows is done well within it."""
        try:
            with broker_errors():
                lock.reacquire()
        except LockNotOwnedError:
            raise TryAgainLater(f"{path!r} was held for too long and belongs to somebody else now.") from None

    try:
        with broker_errors():
            if not lock.acquire():
                raise TryAgainLater(f"{path!r} is in use; try again shortly.", retry_after=LOCK_LIFETIME_SECONDS)
        try:
            yield still_ours
        finally:
            _release(lock)
    finally:
        connection.close()


def _release(lock: Any) -> None:
    try:
        with broker_errors():
            lock.release()
    except (LockError, TryAgainLater):
        pass  # it ends by itself; what was done under it is done


def _locate(path: str, of: Settings | None = None) -> tuple[Any, str]:
    """The file system of STORAGE_URL, and `path` in it."""
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} can't name a blob: use letters, digits, . _ - and / between names")
    filesystem, root = open_filesystem((of or settings()).storage)
    return filesystem, f"{root}/{path}"


def _replace_file(place: Path, data: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, draft = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(place)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
