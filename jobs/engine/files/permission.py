"""Permission to use the files that a job's parameters name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.engine.errors import Fault, Forbidden, InvalidParameters, StoredFileNotFound

from .files import FileStore


@dataclass(frozen=True)
class FileReference:
    """A file that a job's parameters name."""

    #: Where the parameters name it: a JSON Pointer.
    pointer: str
    file_id: str


def check_permission(store: FileStore, references: Iterable[FileReference], user_id: str, *, admin: bool) -> None:
    """Check that a user may use all files that their job names.

    Raises:
        Forbidden: a file belongs to another user.
        InvalidParameters: with one fault for each file that does not exist.
    """
    faults = []
    for reference in references:
        try:
            file = store.find(reference.file_id)
        except StoredFileNotFound as error:
            faults.append(Fault(error.message, "unknown_file", pointer=reference.pointer))
            continue
        if file.owner != user_id and not admin:
            raise Forbidden(f"The file at {reference.pointer} belongs to another user.")
    if faults:
        raise InvalidParameters(faults)
