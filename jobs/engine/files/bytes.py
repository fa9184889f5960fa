"""The bytes of files in STORAGE_URL, written and read as streams: no file is held in memory as a whole."""

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

from .filesystem import disconnect, is_local, open_filesystem

logger = logging.getLogger(__name__)

#: Bytes in memory for each transfer. S3 refuses parts of an upload under 5 MiB, except for the last one.
PART_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Written:
    """The size in bytes and the checksum of a file that was stored."""

    size: int
    sha256: str


class FileBytes:
    """Writes, reads and removes the bytes of files."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.storage

    def disconnect(self) -> None:
        """Close the connections to the storage. They open again at their next use."""
        disconnect(self._url)

    def write(self, owner: str, file_id: str, chunks: Iterable[bytes]) -> Written:
        """Store the bytes of `chunks`. If it raises, nothing is stored.

        Raises:
            StorageUnavailable: the storage can't be reached or is full.
        """
        with _storage_errors():
            filesystem, place = self._locate(owner, file_id)
            local = is_local(filesystem)
            if local:
                Path(place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                Path(place).unlink(missing_ok=True)  # a stored file is read-only
            target = filesystem.open(place, "wb", block_size=PART_BYTES)
        try:
            written = self._copy(chunks, target)
            with _storage_errors():
                if local:
                    target.flush()
                    os.fsync(target.fileno())
                    Path(place).chmod(0o400)  # jobs read this very file
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
        # An object store keeps nothing that was not closed. In a folder, there is a file to remove.
        discard = getattr(target, "discard", target.close)
        for step in (discard, lambda: filesystem.rm_file(place)):
            try:
                step()
            except Exception:  # noqa: BLE001, S112 (the caller raises the first error; the sweep removes the rest)
                continue

    def read(self, owner: str, file_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Read bytes from `start` up to, but not including, `end`. The file is opened before this returns.

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
        """Remove the bytes of a file, if there are any."""
        try:
            with _storage_errors(missing=StoredFileNotFound):
                filesystem, place = self._locate(owner, file_id)
                filesystem.rm_file(place)
        except StoredFileNotFound:
            pass  # already removed

    def local_path(self, owner: str, file_id: str) -> Path | None:
        """Return the path of the bytes on this machine's disk; None if STORAGE_URL is not a folder."""
        filesystem, place = self._locate(owner, file_id)
        return Path(place) if is_local(filesystem) else None

    def _locate(self, owner: str, file_id: str) -> tuple[Any, str]:
        # '..' is a valid username, but not a valid folder.
        folder = quote(owner, safe="").replace(".", "%2E") or "-"
        filesystem, root = open_filesystem(self._url)
        return filesystem, f"{root}/files/{folder}/{file_id}"


@contextmanager
def _storage_errors(missing: type[WorkhorseError] = StorageUnavailable) -> Iterator[None]:
    """Turn the errors of the storage into ours. Each kind of storage raises its own, besides OSError."""
    try:
        yield
    except WorkhorseError:
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError) and missing is not StorageUnavailable:
            raise missing from error
        logger.warning("The file storage failed: %r", error)
        raise StorageUnavailable from error
