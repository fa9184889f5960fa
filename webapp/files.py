"""Upload, show, download and delete files."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, request

from jobs.engine.errors import RangeNotSatisfiable
from jobs.engine.files.files import FileStore
from jobs.engine.files.safe_names import OCTETS
from jobs.engine.files.stored_file import StoredFile

from .auth import caller
from .body import no_body
from .openapi.components import resource
from .openapi.describing import described
from .openapi.operation import LOCATION, empty_response, request_header, response_header, returns
from .openapi.schemas import TEXT, Schema
from .openapi.shared_headers import ETAG_SEEN
from .ownership import visible_file
from .problems import of_error
from .query import Nothing, query
from .rate_limit import admit
from .services import services
from .upload import Upload

blueprint = Blueprint("files", __name__, url_prefix="/api/v1/files")

#: Types that a browser shows without running anything. All others are sent as application/octet-stream.
HARMLESS = re.compile(
    r"image/(png|jpeg|gif|webp|bmp|tiff|avif)|(audio|video)/[\w.+-]+|text/(plain|csv)|font/\w+"
    r"|application/(pdf|json|zip|gzip|msword|rtf|vnd\.[\w.+-]*(document|sheet|presentation|ms-excel|ms-powerpoint)[\w.-]*)"
)


_FILE = resource(StoredFile, name="File")
_BYTES: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FORM = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
    "additionalProperties": False,
}
_CONTENT_HEADERS = {
    "ETag": response_header("The SHA-256 of the content, quoted.", TEXT),
    "Accept-Ranges": response_header("Ranges of bytes are supported.", {"const": "bytes"}),
    "Content-Disposition": response_header("An attachment, with its name.", TEXT),
}
_RANGE_HEADERS = _CONTENT_HEADERS | {
    "Content-Range": response_header("The range of bytes, and the size of the file.", TEXT)
}


@blueprint.post("")
@described(
    "upload-file",
    "Files",
    "Upload a file",
    {"201": returns("The file is stored.", _FILE, headers={"Location": LOCATION})},
    description="One file, in the field `file`. It is stored while it arrives. A file over the limit is refused "
    "without being read to its end.",
    body={"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
    refused=(400, 413, 415),
)
def upload() -> tuple[Response, int, dict[str, str]]:
    """Store a file while it arrives. If that fails, no part of it is kept."""
    arriving = Upload(services().settings.max_upload_bytes)
    query(Nothing)
    admit()
    file = _store().save(caller().user_id, arriving.filename, arriving.content_type, arriving.chunks())
    return jsonify(file.as_dict()), 201, {"Location": f"/api/v1/files/{file.file_id}"}


@blueprint.get("/<file_id>")
@described(
    "show-file",
    "Files",
    "Show a file's record",
    {"200": returns("The file, without its content.", _FILE)},
    refused=(403, 404),
)
def show(file_id: str) -> Response:
    file = visible_file(file_id)
    query(Nothing)
    admit()
    return jsonify(file.as_dict())


@blueprint.get("/<file_id>/content")
@described(
    "fetch-file",
    "Files",
    "Download a file",
    {
        "200": {"description": "The whole content.", "headers": _CONTENT_HEADERS, "content": _BYTES},
        "206": {"description": "The requested range.", "headers": _RANGE_HEADERS, "content": _BYTES},
        "304": {"description": "The content still has the `ETag` of `If-None-Match`.", "headers": _CONTENT_HEADERS},
    },
    headers=(
        request_header("Range", TEXT | {"examples": ["bytes=0-1023"]}, "One range of bytes."),
        request_header("If-Range", TEXT, "Return the range only if this is still the `ETag`."),
        ETAG_SEEN,
    ),
    refused=(403, 404, 416),
)
def content(file_id: str) -> Response:
    """Return the bytes or one range of them (RFC 9110, 14). A request for several ranges gets the whole file."""
    file = visible_file(file_id)
    query(Nothing)
    if request.if_none_match.contains_weak(file.sha256):
        admit()
        return _described(Response(status=HTTPStatus.NOT_MODIFIED), file)
    wanted = _requested_range(file)
    if wanted is not None and not wanted:
        response = of_error(RangeNotSatisfiable(f"The file has {file.size} bytes; the range is outside of them."))
        response.headers["Content-Range"] = f"bytes */{file.size}"
        return response
    admit()
    sent = range(file.size) if wanted is None else wanted
    response = Response(_store().read(file, sent.start, sent.stop), content_type=_type(file))
    if wanted is not None:
        response.status_code = HTTPStatus.PARTIAL_CONTENT
        response.headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{file.size}"
    response.content_length = len(sent)
    return _described(response, file)


@blueprint.delete("/<file_id>")
@described(
    "delete-file",
    "Files",
    "Delete a file",
    {"204": empty_response("The file is deleted.")},
    refused=(400, 403, 404, 413, 415),
)
def delete(file_id: str) -> tuple[str, int]:
    file = visible_file(file_id)
    no_body()
    query(Nothing)
    admit()
    _store().delete(file)
    return "", 204


def _store() -> FileStore:
    return services().client.files


def _requested_range(file: StoredFile) -> range | None:
    """Return the requested range: None for the whole file, an empty range if it is outside of the file."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or not _is_current(file):
        return None
    first, after = wanted.ranges[0]
    if first < 0:  # the last so many bytes
        first, after = max(0, file.size + first), file.size
    return range(first, file.size if after is None else min(after, file.size))


def _is_current(file: StoredFile) -> bool:
    """Return True if the part that the client already has is of the same content."""
    condition = request.if_range
    return condition.date is None and condition.etag in (None, file.sha256)


def _described(response: Response, file: StoredFile) -> Response:
    response.set_etag(file.sha256)
    response.headers["Accept-Ranges"] = "bytes"
    plain = re.sub(r"[^\w .()+-]", "_", file.filename, flags=re.ASCII)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.filename, safe='')}"
    response.headers["Content-Disposition"] = named  # RFC 6266, and RFC 5987 for names that are not ASCII
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _type(file: StoredFile) -> str:
    return file.content_type if HARMLESS.fullmatch(file.content_type) else OCTETS
