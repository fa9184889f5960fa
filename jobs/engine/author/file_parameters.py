"""`File`, the type hint of a parameter that takes an uploaded file."""

from __future__ import annotations

import mimetypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from jobs.engine.accounts.users import Users
from jobs.engine.broker.connection import connect
from jobs.engine.errors import Fatal, StoredFileNotFound, UserNotFound
from jobs.engine.files.files import OCTETS, StoredFile, own_store, patiently
from jobs.engine.settings import settings

from .running import at_end, current_job

FORMAT = "file-id"


class File:
    """A file that a job was given. A client sends its `file_id`; outside a job, `File(path)` stands for a local one.

    Nothing is fetched before it is used. An attempt that uses a file that has gone meanwhile fails for good.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, file_id: str = "") -> None:
        #: What the client sent; empty for a local file.
        self.file_id = file_id
        if path is not None:
            self.path = Path(path)

    @cached_property
    def path(self) -> Path:
        """Where the file is on this machine, to be read only, until the attempt ends."""
        local = own_store().bytes.local_path(self._stored.owner, self.file_id)
        return local if local is not None and local.exists() else self._copied()

    def open(self) -> BinaryIO:
        """Open the file for reading, in binary."""
        return self.path.open("rb")

    @property
    def filename(self) -> str:
        """What its owner called it: a name to show, never to open."""
        return self._stored.filename if self.file_id else self.path.name

    @property
    def content_type(self) -> str:
        """What its owner announced. Only its bytes tell what it is."""
        return self._stored.content_type if self.file_id else mimetypes.guess_type(self.path.name)[0] or OCTETS

    @property
    def size(self) -> int:
        """In bytes."""
        return self._stored.size if self.file_id else self.path.stat().st_size

    @cached_property
    def _stored(self) -> StoredFile:
        with _fatal_if_missing(self.file_id):
            file = patiently(lambda: own_store().find(self.file_id))
        _refuse_foreign(file)
        return file

    def _copied(self) -> Path:
        place = _folder_for_copies() / self.file_id
        with _fatal_if_missing(self.file_id):
            patiently(lambda: _copy(own_store().read(self._stored), place))
        return place

    def __repr__(self) -> str:
        return f"File({self.file_id or self.path})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        sent = core_schema.no_info_after_validator_function(
            lambda file_id: cls(file_id=file_id), core_schema.str_schema(pattern="^[0-9a-f]{32}$")
        )
        return core_schema.json_or_python_schema(
            json_schema=sent,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), sent]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda file: file.file_id),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": FORMAT, "description": "A `file_id`, as `POST /api/v1/files` answers it."}


def remove_copies() -> None:
    """Remove this process's copies: its attempt has ended."""
    shutil.rmtree(_folder(os.getpid()), ignore_errors=True)


class _fatal_if_missing:  # noqa: N801 (it reads as a step)
    def __init__(self, file_id: str) -> None:
        self._file_id = file_id

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, StoredFileNotFound):
            raise Fatal(f"There is no file {self._file_id!r} any more; upload it again.") from error


def _refuse_foreign(file: StoredFile) -> None:
    """Refuse what submitting refuses: a step of a pipeline may learn only now which file it is."""
    job = current_job()
    if job is None or job.user_id in (None, file.owner):
        return
    with closing(connect(settings())) as connection:
        users = Users(connection)
        try:
            if patiently(lambda: users.find(job.user_id or "")).is_admin:
                return
        except UserNotFound:
            pass
    raise Fatal(f"The file {file.file_id!r} belongs to somebody else.")


def _copy(chunks: Iterator[bytes], place: Path) -> None:
    with place.open("wb") as target:
        for chunk in chunks:
            target.write(chunk)


def _folder_for_copies() -> Path:
    """A folder of this process. Those of processes that were killed are removed: they could not do it themselves."""
    own = _folder(os.getpid())
    own.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in own.parent.iterdir():
        if not _is_alive(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    own.mkdir(exist_ok=True)
    at_end(remove_copies)
    return own


def _folder(pid: int) -> Path:
    return Path(tempfile.gettempdir()) / f"workhorse-{os.getuid()}-files" / str(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
