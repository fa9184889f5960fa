"""The record of a stored file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from jobs.engine.public_fields import public_fields


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file, or a file that a job has saved."""

    file_id: Annotated[str, Field(description="The value of a job's file parameter.")]
    #: A user's id. Empty: the file belongs to no user, and only admins see it.
    owner: Annotated[str, Field(exclude=True)]
    #: From a client, as the content type is: it is not trusted, and not a path.
    filename: Annotated[str, Field(description="The name of the uploaded or saved file, without folders.")]
    content_type: str
    size: Annotated[int, Field(ge=0, description="In bytes.")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created_at: datetime
    expires_at: Annotated[datetime, Field(description="When the file will be removed.")]

    @classmethod
    def from_record(cls, file_id: str, fields: Mapping[bytes, bytes]) -> StoredFile:
        """Read a record of the broker."""
        text = {name.decode(): value.decode() for name, value in fields.items()}
        return cls(
            file_id=file_id,
            owner=text["owner"],
            filename=text["filename"],
            content_type=text["content_type"],
            size=int(text["size"]),
            sha256=text["sha256"],
            created_at=datetime.fromtimestamp(int(text["created_at"]), UTC),
            expires_at=datetime.fromtimestamp(int(text["expires_at"]), UTC),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the file resource of the HTTP API."""
        return public_fields(self)
