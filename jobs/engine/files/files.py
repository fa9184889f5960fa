"""The file store: uploaded and produced files, each with an owner and an expiry.

A file is a record in the broker, `wh:file:<id>`, which expires by itself, and bytes in STORAGE_URL, which `sweep`
removes. Before any byte is written, `wh:files:expiry` names the file with the time when it is swept, so the rest
of a transfer whose process died is removed as well.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from uuid import uuid4

import redis

from jobs.engine.broker import malformed
from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.errors import StoredFileNotFound, Unauthenticated
from jobs.engine.settings import Settings, settings

from .bytes import FileBytes
from .safe_names import safe_content_type, safe_filename
from .stored_file import StoredFile

logger = logging.getLogger(__name__)

#: Longer than any transfer takes. A transfer that has not finished by then is swept.
TRANSFER_SECONDS = 6 * 3_600

_ID = re.compile(r"[0-9a-f]{32}")

# A file is kept only if its owner still exists: a later user of the same name must not find it.
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

# Nobody finds the file any longer, and it is swept in `ttl` seconds.
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


class FileStore:
    """Stores, finds and removes files.

    Every method raises BrokerUnavailable or StorageUnavailable if one of the two can't be reached.
    """

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
        """Store a file as it arrives. If `chunks` raises, nothing is stored. An existing `file_id` is replaced.

        Raises:
            Unauthenticated: the owner was removed in the meantime.
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
        return StoredFile.from_record(file_id, dict(zip(kept[::2], kept[1::2], strict=True)))

    def _clean_up(self, owner: str, file_id: str) -> None:
        try:
            self._remove(owner, file_id)
        except Exception:  # the caller raises the first error; the sweep removes the rest
            logger.warning("The bytes of file %s could not be removed; the sweep will do it", file_id, exc_info=True)

    def find(self, file_id: str) -> StoredFile:
        """Read a file's record.

        Raises:
            StoredFileNotFound: there is no such file.
        """
        with broker_errors():
            file = self._record(file_id) if _ID.fullmatch(file_id) else None
        if file is None:
            raise StoredFileNotFound(f"There is no file {file_id[:64]!r}; it may have expired.")
        return file

    def _record(self, file_id: str) -> StoredFile | None:
        key = f"wh:file:{file_id}"
        fields = malformed.readable(key, lambda: self._connection.hgetall(key))
        return malformed.readable(key, lambda: StoredFile.from_record(file_id, fields)) if fields else None

    def read(self, file: StoredFile, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Read bytes from `start` up to, but not including, `end`. Raises StoredFileNotFound before the first byte."""
        return self.bytes.read(file.owner, file.file_id, start, end)

    def delete(self, file: StoredFile) -> None:
        """Remove a file. Its record is removed before its bytes."""
        with broker_errors():
            self._drop(args=[file.owner, file.file_id, 0])
        self._clean_up(file.owner, file.file_id)

    def delete_all(self, owner: str) -> None:
        """Remove all files of a user. Remove the user first, so that no new file is added."""
        with broker_errors():
            while ids := self._connection.zrange(f"wh:files:{owner}", 0, 499):
                for file_id in ids:
                    self._drop(args=[owner, file_id, 0])
                    self._clean_up(owner, file_id.decode())

    def sweep(self, at_most: int = 500) -> int:
        """Remove the bytes of expired and unfinished files. Return how many; it may be repeated at any time."""
        with broker_errors():
            due = self._due(args=[at_most])
        for member in due:
            owner, _, file_id = malformed.text(member).rpartition("/")
            if f"{owner}/{file_id}".encode() == member and _ID.fullmatch(file_id):
                self._remove(owner, file_id)
            else:
                self._drop_malformed(member)
        return len(due)

    def _drop_malformed(self, member: bytes) -> None:
        logger.warning("wh:files:expiry: %.200r is malformed and was removed", member)
        with broker_errors():
            self._connection.zrem("wh:files:expiry", member)

    def disconnect(self) -> None:
        """Close the connections. They open again at their next use."""
        self._connection.close()
        self.bytes.disconnect()

    def _remove(self, owner: str, file_id: str) -> None:
        self.bytes.delete(owner, file_id)
        with broker_errors():
            self._forget(args=[owner, file_id])


def disconnect() -> None:
    """Close the connections of this process's file store. They open again at their next use."""
    own_store().disconnect()


def own_store() -> FileStore:
    """Return this process's file store, which connects at its first use."""
    return _store_of(os.getpid(), settings())


@lru_cache(maxsize=1)
def _store_of(_pid: int, of: Settings) -> FileStore:
    return FileStore(connect(of), of)
