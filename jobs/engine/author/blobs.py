"""Blobs in STORAGE_URL, which jobs keep between runs.

The web process and the workers may run on different hosts, so nothing here relies on a shared disk.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.engine.errors import BlobNotFound
from jobs.engine.files.filesystem import disconnect, is_local, open_filesystem
from jobs.engine.settings import Settings, settings

from .running import at_end, current_job

#: The owner of blobs outside a job, and in a job without a user.
LOCAL_USER = "local"

#: The prefix of a blob's name while it is written. No blob's name can start with it.
DRAFT_PREFIX = ".draft-"

_PATH = re.compile(r"[\w%@+=-][\w%@+=.-]*(/[\w%@+=-][\w%@+=.-]*)*", re.ASCII)

#: The user for whom a function runs outside a job.
_caller: ContextVar[str | None] = ContextVar("caller", default=None)


def read_blob(path: str) -> bytes:
    """Read a blob.

    Raises:
        BlobNotFound: nothing is stored at `path`.
    """
    filesystem, place = _locate(path)
    try:
        return bytes(filesystem.cat_file(place))
    except FileNotFoundError:
        raise BlobNotFound(f"Nothing is stored at {path!r}.") from None


def write_blob(path: str, data: bytes) -> None:
    """Store or replace a blob in one step: a reader sees the old bytes or the new ones."""
    filesystem, place = _locate(path)
    if is_local(filesystem):
        _replace_file(Path(place), data)
    else:
        filesystem.pipe_file(place, data)  # one PUT in an object store, which is atomic


def blob_exists(path: str) -> bool:
    """Return True if a blob is stored at `path`."""
    filesystem, place = _locate(path)
    return bool(filesystem.isfile(place))


def user_path(name: str, user_id: str | None = None) -> str:
    """Return the path of a user's own blob. The default is the current job's user."""
    return f"users/{quote(user_id or _current_user(), safe='').replace('.', '%2E')}/{name}"


@contextmanager
def on_behalf_of(user_id: str) -> Iterator[None]:
    """Outside a job, let `user_path` return this user's paths within the block."""
    token = _caller.set(user_id)
    try:
        yield
    finally:
        _caller.reset(token)


def delete_user_blobs(user_id: str, of: Settings) -> None:
    """Remove all blobs of a user, so that a later user of the same name does not find them."""
    filesystem, place = _locate(user_path("documents", user_id).rpartition("/")[0], of)
    try:
        filesystem.rm(place, recursive=True)
    except FileNotFoundError:
        pass  # the user has none


def _current_user() -> str:
    job = current_job()
    return (job.user_id if job else None) or _caller.get() or LOCAL_USER


def _locate(path: str, of: Settings | None = None) -> tuple[Any, str]:
    """Return the file system of STORAGE_URL, and the place of `path` in it."""
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a valid path of a blob: use letters, digits, . _ - and / between names")
    filesystem, root = open_filesystem((of or settings()).storage)
    at_end(_disconnect)
    return filesystem, f"{root}/{path}"


def _disconnect() -> None:
    disconnect(settings().storage)


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
