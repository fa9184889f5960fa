"""`File`, the type hint of a parameter that takes an uploaded file."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from jobs.engine.errors import Fatal, StoredFileNotFound, UserNotFound
from jobs.engine.files.safe_names import OCTETS
from jobs.engine.files.stored_file import StoredFile
from jobs.engine.settings import settings

from .attempt_files import attempt_store
from .file_copies import copy_here
from .outage import wait_out_outage
from .running import current_job

FORMAT = "file-id"


class File:
    """A file that a job was given. A client sends its `file_id`; outside a job, `File(path)` is a local file.

    Its record and bytes are read at their first use. An attempt fails for good if the file no longer exists by then.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, file_id: str = "") -> None:
        #: The id that the client sent. Empty for a local file.
        self.file_id = file_id
        if path is not None:
            self.path = Path(path)

    @cached_property
    def path(self) -> Path:
        """The file's path on this machine. It must only be read, and is valid until the attempt ends."""
        local = attempt_store().bytes.local_path(self._stored.owner, self.file_id)
        return local if local is not None and local.exists() else self._copied()

    def open(self) -> BinaryIO:
        """Open the file for reading, in binary."""
        return self.path.open("rb")

    @property
    def filename(self) -> str:
        """The name that its owner gave it: to show, never to open."""
        return self._stored.filename if self.file_id else self.path.name

    @property
    def content_type(self) -> str:
        """The type that its owner gave it. The bytes may be of another type."""
        return self._stored.content_type if self.file_id else mimetypes.guess_type(self.path.name)[0] or OCTETS

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._stored.size if self.file_id else self.path.stat().st_size

    @cached_property
    def _stored(self) -> StoredFile:
        with _fatal_if_missing(self.file_id):
            file = wait_out_outage(lambda: attempt_store().find(self.file_id))
        _refuse_file_of_another_user(file)
        return file

    def _copied(self) -> Path:
        with _fatal_if_missing(self.file_id):
            return wait_out_outage(lambda: copy_here(self.file_id, attempt_store().read(self._stored)))

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
        return {"type": "string", "format": FORMAT, "description": "A `file_id` that `POST /api/v1/files` returned."}


@contextmanager
def _fatal_if_missing(file_id: str) -> Iterator[None]:
    try:
        yield
    except StoredFileNotFound as error:
        raise Fatal(f"The file {file_id!r} no longer exists; upload it again.") from error


def _refuse_file_of_another_user(file: StoredFile) -> None:
    """Check the owner again, since a step of a pipeline gets its file after it was submitted."""
    job = current_job()
    if job is None or job.user_id in (None, file.owner):
        return
    from jobs.engine.accounts.users import Users
    from jobs.engine.broker.connection import connect

    with closing(connect(settings())) as connection:
        users = Users(connection)
        try:
            if wait_out_outage(lambda: users.find(job.user_id or "")).is_admin:
                return
        except UserNotFound:
            pass
    raise Fatal(f"The file {file.file_id!r} belongs to another user.")
