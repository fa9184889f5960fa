"""The file store: uploaded and produced files, each with an owner and an end.

A file is a record in the broker, `wh:file:<id>`, which expires by itself, and bytes in STORAGE_URL, which `sweep`
removes. Before any byte is written, `wh:files:expiry` names the file with the time at which it is swept: what is
left of a transfer whose process died goes as well.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, TypeVar
from uuid import uuid4

import redis

from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.errors import Fault, Forbidden, InvalidParameters, StoredFileNotFound, TryAgainLater, Unauthenticated
from jobs.engine.settings import Settings, settings
from jobs.engine.times import rfc3339

from .bytes import FileBytes

logger = logging.getLogger(__name__)

#: Longer than any transfer takes. What has not been finished by then is swept.
TRANSFER_SECONDS = 6 * 3_600
FILENAME_BYTES = 255
OCTETS = "application/octet-stream"
#: A job waits this long for a broker or a storage that is away, and looks again this often.
PATIENCE_SECONDS = 30.0
AGAIN_SECONDS = 0.5

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{32}")
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")

# A file is kept only if its owner is still there: whoever takes the name next must not find it.
_KEEP = """
local owner, id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
if owner ~= '' and redis.call('EXISTS', 'wh:user:' .. owner) == 0 then return false end
local key, now = 'wh:file:' .. id, tonumber(redis.call('TIME')[1])
redis.call('DEL', key)
redis.call('HSET', key, 'owner', owner, 'created_at', now, 'expires_at', now + ttl, unpack(ARGV, 4))
redis.call('EXPIREAT', key, now + ttl)
redis.call('ZADD', 'wh:files:expiry', now + ttl, owner .. '/' .. id)
redis.call('ZADD', 'wh:files:' .. owner, now + ttl, id)
return redis.call('HGETALL', key)
"""

# From here on nobody finds the file, and it is due to be swept: in `ttl` seconds.
_DROP = """
local owner, id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('DEL', 'wh:file:' .. id)
redis.call('ZREM', 'wh:files:' .. owner, id)
redis.call('ZADD', 'wh:files:expiry', redis.call('TIME')[1] + ttl, owner .. '/' .. id)
"""

_DUE = "return redis.call('ZRANGEBYSCORE', 'wh:files:expiry', '-inf', redis.call('TIME')[1], 'LIMIT', 0, ARGV[1])"

_FORGET = """
redis.call('ZREM', 'wh:files:expiry', ARGV[1] .. '/' .. ARGV[2])
redis.call('ZREM', 'wh:files:' .. ARGV[1], ARGV[2])
"""


@dataclass(frozen=True)
class FileReference:
    """A file that a job's parameters name: where, as a JSON Pointer, and which."""

    pointer: str
    file_id: str


@dataclass(frozen=True)
class StoredFile:
    """The record of a file. Its name and type are what somebody called it: never a path, never trusted."""

    file_id: str
    #: A user's id, or nothing: it belongs to nobody, and admins see it.
    owner: str
    filename: str
    content_type: str
    size: int
    sha256: str
    created_at: datetime
    expires_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """The file resource of the HTTP API."""
        return {
            "file_id": self.file_id,
            "filename": self.filename,
            "content_type": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
        }


class FileStore:
    """Every method raises BrokerUnavailable or StorageUnavailable if one of the two can't be reached."""

    def __init__(self, connection: redis.Redis, of: Settings) -> None:
        self._connection: Any = connection
        self._ttl_seconds = of.file_ttl
        self.bytes = FileBytes(of)
        self._keep: Any = connection.register_script(_KEEP)
        self._drop: Any = connection.register_script(_DROP)
        self._due: Any = connection.register_script(_DUE)
        self._forget: Any = connection.register_script(_FORGET)

    def save(
        self,
        owner: str,
        filename: str,
        content_type: str | None,
        chunks: Iterable[bytes],
        *,
        file_id: str | None = None,
    ) -> StoredFile:
        """Store a file as it arrives. If `chunks` raise, nothing stays. With the id of a file, it takes its place.

        Raises:
            Unauthenticated: the owner has been removed meanwhile.
        """
        file_id = file_id or uuid4().hex
        with broker_errors():
            self._drop(args=[owner, file_id, TRANSFER_SECONDS])
        name = safe_filename(filename)
        try:
            written = self.bytes.write(owner, file_id, chunks)
            fields = [
                *("filename", name, "content_type", safe_content_type(content_type, name)),
                *("size", written.size, "sha256", written.sha256),
            ]
            with broker_errors():
                kept = self._keep(args=[owner, file_id, self._ttl_seconds, *fields])
            if not kept:
                raise Unauthenticated("This user no longer exists.")
        except BaseException:
            self._clean_up(owner, file_id)
            raise
        return _stored_file(file_id, dict(zip(kept[::2], kept[1::2], strict=True)))

    def _clean_up(self, owner: str, file_id: str) -> None:
        try:
            self._remove(owner, file_id)
        except Exception:  # the sweep comes by later; what went wrong first is the error to tell
            logger.warning("What was stored of file %s is left to the sweep", file_id, exc_info=True)

    def find(self, file_id: str) -> StoredFile:
        """Read a file's record.

        Raises:
            StoredFileNotFound
        """
        with broker_errors():
            fields = self._connection.hgetall(f"wh:file:{file_id}") if _ID.fullmatch(file_id) else None
        if not fields:
            raise StoredFileNotFound(f"There is no file {file_id[:64]!r}; it may have expired.")
        return _stored_file(file_id, fields)

    def read(self, file: StoredFile, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """A file's bytes from `start` to `end`, which is not among them. Raises StoredFileNotFound before the first."""
        return self.bytes.read(file.owner, file.file_id, start, end)

    def delete(self, file: StoredFile) -> None:
        """Remove a file. It is gone for everybody before its bytes are."""
        with broker_errors():
            self._drop(args=[file.owner, file.file_id, 0])
        self._clean_up(file.owner, file.file_id)

    def delete_all(self, owner: str) -> None:
        """Remove a user's files. The user must be gone already, so that no new one comes."""
        with broker_errors():
            while ids := self._connection.zrange(f"wh:files:{owner}", 0, 499):
                for file_id in ids:
                    self._drop(args=[owner, file_id, 0])
                    self._clean_up(owner, file_id.decode())

    def sweep(self, at_most: int = 500) -> int:
        """Remove the bytes of what has expired, or was never finished. Answers how many; harmless to repeat."""
        with broker_errors():
            due = self._due(args=[at_most])
        for member in due:
            owner, _, file_id = member.decode().rpartition("/")
            self._remove(owner, file_id)
        return len(due)

    def _remove(self, owner: str, file_id: str) -> None:
        self.bytes.delete(owner, file_id)
        with broker_errors():
            self._forget(args=[owner, file_id])

    def check(self, references: Iterable[FileReference], user_id: str, *, admin: bool) -> None:
        """See to it that whoever submits a job may use the files that it names.

        Raises:
            Forbidden: one belongs to somebody else.
            InvalidParameters: with one fault for each that does not exist.
        """
        faults = []
        for reference in references:
            try:
                file = self.find(reference.file_id)
            except StoredFileNotFound as error:
                faults.append(Fault(error.message, "unknown_file", pointer=reference.pointer))
                continue
            if file.owner != user_id and not admin:
                raise Forbidden(f"The file at {reference.pointer} belongs to somebody else.")
        if faults:
            raise InvalidParameters(faults)


def own_store() -> FileStore:
    """The file store of this process, over a connection of its own that is made at its first use."""
    return _store_of(os.getpid(), settings())


@lru_cache(maxsize=1)
def _store_of(_pid: int, of: Settings) -> FileStore:
    return FileStore(connect(of), of)


def patiently(step: Callable[[], T]) -> T:
    """Do it, also if broker or storage are away for a while: what a job has computed is not computed again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return step()
        except TryAgainLater:
            if time.monotonic() >= deadline:
                raise
            time.sleep(AGAIN_SECONDS)


def safe_filename(name: str) -> str:
    """What a file may be called: one name, without folders and what can't be seen, of 255 bytes at most."""
    last = re.split(r"[/\\]", name.encode("utf-8", "replace").decode())[-1]
    seen = "".join(each for each in last if unicodedata.category(each)[0] != "C").strip().lstrip(".")
    stem, suffix = PurePosixPath(seen).stem, PurePosixPath(seen).suffix[:20]
    kept = stem.encode()[: FILENAME_BYTES - len(suffix.encode())].decode("utf-8", "ignore")
    return kept + suffix or "file"


def safe_content_type(content_type: str | None, filename: str) -> str:
    """The type that was announced, without parameters, or else the one that its name speaks for."""
    announced = (content_type or "").partition(";")[0].strip().lower()
    if announced in ("", OCTETS):
        announced = mimetypes.guess_type(filename)[0] or OCTETS
    return announced if _TYPE.fullmatch(announced) else OCTETS


def _stored_file(file_id: str, fields: dict[bytes, bytes]) -> StoredFile:
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return StoredFile(
        file_id=file_id,
        owner=text["owner"],
        filename=text["filename"],
        content_type=text["content_type"],
        size=int(text["size"]),
        sha256=text["sha256"],
        created_at=datetime.fromtimestamp(int(text["created_at"]), UTC),
        expires_at=datetime.fromtimestamp(int(text["expires_at"]), UTC),
    )
