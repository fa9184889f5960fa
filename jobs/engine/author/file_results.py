"""`save_file`, which stores a file that a running function produced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from jobs.engine.errors import Unauthenticated
from jobs.engine.files.bytes import CHUNK_BYTES
from jobs.engine.files.safe_names import safe_content_type, safe_filename
from jobs.engine.settings import settings

from .attempt_files import attempt_store
from .checkpoint import checkpoint
from .outage import wait_out_outage
from .running import Cancelled, current_job

#: A file to copy, or the content itself.
Content = str | os.PathLike[str] | bytes


class SavedFile(BaseModel):
    """A produced file, as a job's result contains it. Its owner can download it from `/api/v1/files/{file_id}`."""

    model_config = ConfigDict(frozen=True)

    file_id: str
    filename: str
    content_type: str
    #: In bytes.
    size: int
    sha256: str
    #: None if the file was saved outside a job.
    expires_at: datetime | None


def save_file(path_or_bytes: Content, filename: str, content_type: str | None = None) -> SavedFile:
    """Store a file for the job's owner, and return the value for the job's result.

    The n-th file of an attempt replaces the n-th file of an earlier attempt, unless the checkpoint names that one.
    So a retry leaves no files that no result names. Outside a job, the file is written to DATA_DIR/saved.

    Args:
        path_or_bytes: the file to copy, or the content.
        filename: the name of the stored file, without a path.
        content_type: by default, the type that the filename suggests.
    """
    job = current_job()
    if job is None:
        return _save_outside(path_or_bytes, filename, content_type)
    owner, file_id = job.user_id or "", _next_id(job.job_id)
    try:
        file = wait_out_outage(
            lambda: attempt_store().save(owner, filename, content_type, _chunks(path_or_bytes), file_id=file_id)
        )
    except Unauthenticated:
        raise Cancelled from None  # the owner was removed, and all their jobs with them
    return SavedFile.model_validate(file, from_attributes=True)


_position: tuple[object, int] = (None, 0)


def _next_id(job_id: str) -> str:
    """Return the id of the attempt's next file. It depends on the job's id alone, so all attempts use the same ids."""
    global _position
    attempt = current_job()
    kept = json.dumps(dict(checkpoint))
    while True:
        _position = (attempt, _position[1] + 1 if _position[0] is attempt else 1)
        file_id = sha256(f"{job_id}/{_position[1]}".encode()).hexdigest()[:32]
        if file_id not in kept:
            return file_id


def _chunks(path_or_bytes: Content) -> Iterator[bytes]:
    if isinstance(path_or_bytes, bytes):
        yield path_or_bytes
        return
    with Path(path_or_bytes).open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _save_outside(path_or_bytes: Content, filename: str, content_type: str | None) -> SavedFile:
    file_id, name, digest = uuid4().hex, safe_filename(filename), sha256()
    place = settings().data_dir / "saved" / file_id / name
    place.parent.mkdir(parents=True)
    with place.open("wb") as target:
        for chunk in _chunks(path_or_bytes):
            target.write(chunk)
            digest.update(chunk)
    return SavedFile(
        file_id=file_id,
        filename=name,
        content_type=safe_content_type(content_type, name),
        size=place.stat().st_size,
        sha256=digest.hexdigest(),
        expires_at=None,
    )
