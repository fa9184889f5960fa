"""The bytes of files in STORAGE_URL: written and read as streams, so that none is ever held whole in memory."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.engine.errors import StorageUnavailable, StoredFileNotFound, WorkhorseError
from jobs.engine.settings import Settings

from .filesystem import open_filesystem

logger = logging.getLogger(__name__)

#: Bytes in memory for each transfer. S3 takes no part of an upload under 5 MiB, its last one aside.
PART_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Written:
    size: int
    sha256: str


class FileBytes:
    def __init__(self, settings: Settings) -> None:
        self._url = settings.storage

    def write(self, owner: str, file_id: str, chunks: Iterable[bytes]) -> Written:
        """Store what `chunks` yield. If they raise, nothing stays.

        Raises:
            StorageUnavailable: if the storage can't be reached or is full.
        """
        with _storage_errors():
            filesystem, place = self._locate(owner, file_id)
            local = _is_local(filesystem)
            if local:
                Path(place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                Path(place).unlink(missing_ok=True)  # it can't be written to
            target = filesystem.open(place, "wb", block_size=PART_BYTES)
        try:
            written = self._copy(chunks, target)
            with _storage_errors():
                if local:
                    target.flush()
                    os.fsync(target.fileno())
                    Path(place).chmod(0o400)  # jobs are given this very path
                target.close()
        except BaseException:
            self._abandon(filesystem, target, place)
            raise
        return written

    @staticmethod
    def _copy(chunks: Iterable[bytes], target: Any) -> Written:
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            with _storage_errors():
                target.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        return Written(size, digest.hexdigest())

    def _abandon(self, filesystem: Any, target: Any, place: str) -> None:
        # A store of objects forgets what was not closed; in a folder there is a file to remove.
        give_up = getattr(target, "discard", target.close)
        for step in (give_up, lambda: filesystem.rm_file(place)):
            try:
                step()
            except Exception:  # noqa: BLE001, S112 (the sweep comes by later; the first error is the one to tell)
                continue

    def read(self, owner: str, file_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Read bytes `start` to `end`, which is not among them. The file is opened before this returns.

        Raises:
            StoredFileNotFound, StorageUnavailable
        """
        with _storage_errors(missing=StoredFileNotFound):
            filesystem, place = self._locate(owner, file_id)
            source = filesystem.open(place, "rb", block_size=PART_BYTES)
            source.seek(start)
        return self._chunks(source, None if end is None else end - start)

    def _chunks(self, source: Any, left: int | None) -> Iterator[bytes]:
        with source:
            while left is None or left > 0:
                with _storage_errors():
                    chunk = source.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield bytes(chunk)

    def delete(self, owner: str, file_id: str) -> None:
        """Remove the bytes; it is fine if there are none."""
        try:
            with _storage_errors(missing=StoredFileNotFound):
                filesystem, place = self._locate(owner, file_id)
                filesystem.rm_file(place)
        except StoredFileNotFound:
            pass

    def local_path(self, owner: str, file_id: str) -> Path | None:
        """Where the bytes are on this machine's disk, if STORAGE_URL is a folder of it."""
        filesystem, place = self._locate(owner, file_id)
        return Path(place) if _is_local(filesystem) else None

    def _locate(self, owner: str, file_id: str) -> tuple[Any, str]:
        # A user's name is no folder's: '..' is a name as good as any.
        folder = quote(owner, safe="").replace(".", "%2E") or "-"
        filesystem, root = open_filesystem(self._url)
        return filesystem, f"{root}/files/{folder}/{file_id}"


@contextmanager
def _storage_errors(missing: type[WorkhorseError] = StorageUnavailable) -> Iterator[None]:
    """Turn what the storage raises into our errors: each kind of storage has its own, beside OSError."""
    try:
        yield
    except WorkhorseError:
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError) and missing is not StorageUnavailable:
            raise missing from error
        logger.warning("The file storage failed: %r", error)
        raise StorageUnavailable from error


def _is_local(filesystem: Any) -> bool:
    protocol = filesystem.protocol
    return "file" in (protocol if isinstance(protocol, tuple) else (protocol,))
