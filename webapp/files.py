"""Upload files, look at them, fetch and delete them."""

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
from .ownership import visible_file
from .problems import of_error
from .query import Nothing, query
from .rate_limit import admit
from .services import services
from .upload import Upload

blueprint = Blueprint("files", __name__, url_prefix="/api/v1/files")

#: What a browser shows without running anything in it. All else is sent as bytes of no type.
HARMLESS = re.compile(
    r"image/(png|jpeg|gif|webp|bmp|tiff|avif)|(audio|video)/[\w.+-]+|text/(plain|csv)|font/\w+"
    r"|application/(pdf|json|zip|gzip|msword|rtf|vnd\.[\w.+-]*(document|sheet|presentation|ms-excel|ms-powerpoint)[\w.-]*)"
)


@blueprint.post("")
def upload() -> tuple[Response, int, dict[str, str]]:
    """Store a file while it arrives. Whatever goes wrong on the way, nothing of it stays."""
    arriving = Upload(services().settings.max_upload_bytes)
    query(Nothing)
    admit()
    file = _store().save(caller().user_id, arriving.filename, arriving.content_type, arriving.chunks())
    return jsonify(file.as_dict()), 201, {"Location": f"/api/v1/files/{file.file_id}"}


@blueprint.get("/<file_id>")
def show(file_id: str) -> Response:
    file = visible_file(file_id)
    query(Nothing)
    admit()
    return jsonify(file.as_dict())


@blueprint.get("/<file_id>/content")
def content(file_id: str) -> Response:
    """The bytes, or a range of them (RFC 9110, 14). Several ranges at once are answered with the whole."""
    file = visible_file(file_id)
    query(Nothing)
    if request.if_none_match.contains_weak(file.sha256):
        admit()
        return _described(Response(status=HTTPStatus.NOT_MODIFIED), file)
    asked = _asked_range(file)
    if asked is not None and not asked:
        answer = of_error(RangeNotSatisfiable(f"The file has {file.size} bytes, and none in that range."))
        answer.headers["Content-Range"] = f"bytes */{file.size}"
        return answer
    admit()
    sent = range(file.size) if asked is None else asked
    answer = Response(_store().read(file, sent.start, sent.stop), content_type=_type(file))
    if asked is not None:
        answer.status_code = HTTPStatus.PARTIAL_CONTENT
        answer.headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{file.size}"
    answer.content_length = len(sent)
    return _described(answer, file)


@blueprint.delete("/<file_id>")
def delete(file_id: str) -> tuple[str, int]:
    file = visible_file(file_id)
    no_body()
    query(Nothing)
    admit()
    _store().delete(file)
    return "", 204


def _store() -> FileStore:
    return services().client.files


def _asked_range(file: StoredFile) -> range | None:
    """The bytes that were asked for: None, if that is all of them; an empty range, if the file has none of them."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1 or not _still_holds(file):
        return None
    first, after = asked.ranges[0]
    if first < 0:  # the last so many bytes
        first, after = max(0, file.size + first), file.size
    return range(first, file.size if after is None else min(after, file.size))


def _still_holds(file: StoredFile) -> bool:
    """Whether the part that the client has is of this very content."""
    condition = request.if_range
    return condition.date is None and condition.etag in (None, file.sha256)


def _described(answer: Response, file: StoredFile) -> Response:
    answer.set_etag(file.sha256)
    answer.headers["Accept-Ranges"] = "bytes"
    plain = re.sub(r"[^\w .()+-]", "_", file.filename, flags=re.ASCII)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.filename, safe='')}"
    answer.headers["Content-Disposition"] = named  # RFC 6266, with RFC 5987 for what is not ASCII
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def _type(file: StoredFile) -> str:
    return file.content_type if HARMLESS.fullmatch(file.content_type) else OCTETS
