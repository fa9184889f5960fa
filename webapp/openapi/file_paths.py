"""Files: uploading, fetching and deleting them."""

from __future__ import annotations

from typing import Any

from .operation import answer, header, in_path, operation, ref, sent_header
from .schemas import COUNT, TEXT, TIME, Schema, answered

FILE_ID = in_path("file_id", "As in the answer to the upload, or in a job's result.")
BYTES: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
ETAG = sent_header("The content's SHA-256, quoted.", TEXT)

FILE = answered(
    {
        "file_id": TEXT | {"description": "What a job's file parameter takes."},
        "filename": TEXT | {"description": "What it was called, without folders."},
        "content_type": TEXT,
        "size": COUNT | {"description": "In bytes."},
        "sha256": TEXT | {"pattern": "^[0-9a-f]{64}$"},
        "created_at": TIME,
        "expires_at": TIME | {"description": "When it is removed."},
    }
)


def file_paths() -> dict[str, Any]:
    """The paths of files."""
    return {
        "/files": {"post": _upload()},
        "/files/{file_id}": {"get": _show(), "delete": _delete()},
        "/files/{file_id}/content": {"get": _fetch()},
    }


def _upload() -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
        "additionalProperties": False,
    }
    location = sent_header("The file's address.", {"type": "string", "format": "uri-reference"})
    return operation(
        "upload-file",
        "Files",
        "Upload a file",
        {"201": answer("It is stored.", ref("File"), headers={"Location": location})},
        description="One file, in the field `file`. It is stored while it arrives; one over the limit is refused "
        "without being read to its end.",
        body={"required": True, "content": {"multipart/form-data": {"schema": form}}},
        refused=(400, 413, 415),
    )


def _show() -> dict[str, Any]:
    return operation(
        "show-file",
        "Files",
        "Show what is known of a file",
        {"200": answer("The file, without its content.", ref("File"))},
        parameters=(FILE_ID,),
        refused=(403, 404),
    )


def _fetch() -> dict[str, Any]:
    headers = {
        "ETag": ETAG,
        "Accept-Ranges": sent_header("Ranges of bytes may be asked for.", {"const": "bytes"}),
        "Content-Disposition": sent_header("An attachment, with its name.", TEXT),
    }
    place = {"Content-Range": sent_header("Which bytes these are, and of how many.", TEXT)}
    return operation(
        "fetch-file",
        "Files",
        "Fetch a file's content",
        {
            "200": {"description": "All of it.", "headers": headers, "content": BYTES},
            "206": {"description": "The range that was asked for.", "headers": headers | place, "content": BYTES},
            "304": {"description": "The content of `If-None-Match` is still the file's.", "headers": headers},
        },
        parameters=(
            FILE_ID,
            header("Range", TEXT | {"examples": ["bytes=0-1023"]}, "One range of bytes."),
            header("If-Range", TEXT, "Answer with a range only if this is still the `ETag`."),
            header("If-None-Match", TEXT, "The `ETag` of an earlier answer."),
        ),
        refused=(403, 404, 416),
    )


def _delete() -> dict[str, Any]:
    return operation(
        "delete-file",
        "Files",
        "Delete a file",
        {"204": {"description": "It is gone."}},
        parameters=(FILE_ID,),
        refused=(403, 404),
    )
