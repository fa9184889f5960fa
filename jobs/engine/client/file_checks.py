"""Check that a user may use the files that a submission names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.store import Store
from jobs.engine.errors import Forbidden, InvalidParameters, InvalidRequest
from jobs.engine.files.files import FileStore
from jobs.engine.files.permission import check_permission

from .file_references import file_references
from .submission import Part, Submission


def check_files(files: FileStore, submission: Submission) -> None:
    """Refuse a submission that names a file that its user can't use.

    Raises:
        InvalidParameters: with a fault for each file that does not exist.
        Forbidden: a file belongs to another user.
    """
    references = file_references(submission.job_type.parameters, submission.params)
    check_permission(files, references, submission.user_id, admin=submission.admin)


def check_files_of_parts(files: FileStore, parts: Sequence[Part]) -> None:
    """Refuse a group as `check_files` does. The faults are an InvalidRequest, and point into the request."""
    faults = []
    for part in parts:
        # The values of references are not known before the step starts, and are checked then.
        if not part.references:
            try:
                check_files(files, part.submission)
            except InvalidParameters as error:
                faults += [replace(fault, pointer=f"{part.at}/params{fault.pointer}") for fault in error.faults]
    if faults:
        raise InvalidRequest(faults)


def check_unless_repeated(store: Store, shared: dict[str, Any], check: Callable[[], None]) -> None:
    """Check the files of a request, unless it repeats one whose job or group is still there."""
    try:
        check()
    except (Forbidden, InvalidRequest):
        # A repeat gets the first request's job, even if a file has expired since.
        idempotency = shared.get("idempotency")
        with broker_errors():
            if idempotency is None or not store.is_bound(idempotency):
                raise
