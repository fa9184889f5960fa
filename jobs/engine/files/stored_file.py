"""The record of a stored file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.engine.times import rfc3339


@dataclass(frozen=True)
class StoredFile:
    """A file as its record describes it. The name and type come from a client: never a path, never trusted."""

    file_id: str
    #: A user's id. Empty: the file belongs to no user, and only admins see it.
    owner: str
    filename: str
    content_type: str
    #: In bytes.
    size: int
    sha256: str
    created_at: datetime
    expires_at: datetime

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
        return {
            "file_id": self.file_id,
            "filename": self.filename,
            "content_type": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
        }
