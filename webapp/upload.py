"""Read a multipart upload of one file as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData, Preamble

from jobs.engine.errors import Fault, InvalidRequest, MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from jobs.engine.json_pointer import pointer

FIELD = "file"
#: The limit of what boundaries and part headers add to the file.
FRAMING_BYTES = 65_536
CHUNK_BYTES = 65_536


class Upload:
    """The one file in the request's body. At most a chunk of it is in memory.

    Raises:
        PayloadTooLarge: the file has more than `max_bytes`. Nothing more is read.
        UnsupportedMediaType: the body is not multipart/form-data.
        MalformedRequest: the body is not valid multipart/form-data.
        InvalidRequest: the file is missing, or another field comes before it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        if (request.content_length or 0) > max_bytes + FRAMING_BYTES:
            raise self._too_large()
        request.max_content_length = max_bytes + FRAMING_BYTES
        # The limit of the decoder's buffer: a chunk, after what may be the beginning of a boundary or a header.
        self._decoder = MultipartDecoder(_boundary(), max_form_memory_size=FRAMING_BYTES + CHUNK_BYTES, max_parts=2)
        part = self._next_part()
        if part is None:
            raise _invalid(f"send a file in the multipart field '{FIELD}'", "missing", FIELD)
        if not part.filename:
            raise _invalid("the field has no filename; send it as a file", "no_filename", FIELD)
        self.filename: str = part.filename
        self.content_type: str | None = part.headers.get("Content-Type")

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes as they arrive.

        Raises:
            PayloadTooLarge, MalformedRequest: as above.
            InvalidRequest: another field comes after the file.
        """
        size = 0
        while True:
            event = self._next_event()
            if not isinstance(event, Data):
                raise _malformed()
            size += len(event.data)
            if size > self._max_bytes:
                raise self._too_large()
            if event.data:
                yield bytes(event.data)
            if not event.more_data:
                break
        if (second := self._next_part()) is not None:
            raise _only_one(second.name)

    def _next_part(self) -> File | None:
        """Return the next part, which must be the file; None at the end of the body."""
        while True:
            event = self._next_event()
            if isinstance(event, Epilogue):
                return None
            if isinstance(event, Field):
                if event.name == FIELD:
                    raise _invalid("the field has no filename; send it as a file", "no_filename", FIELD)
                raise _only_one(event.name)
            if isinstance(event, File):
                if event.name != FIELD:
                    raise _only_one(event.name)
                return event
            if not isinstance(event, Preamble):
                raise _malformed()

    def _next_event(self) -> Any:
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                # An empty chunk is the end of the body: the decoder refuses an early end.
                self._decoder.receive_data(request.stream.read(CHUNK_BYTES) or None)
        except RequestEntityTooLarge:
            raise self._too_large() from None
        except (ClientDisconnected, OSError, ValueError):
            raise _malformed() from None
        return event

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The file is over the limit of {self._max_bytes} bytes (MAX_UPLOAD_BYTES).")


def _boundary() -> bytes:
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType(f"Send the file as multipart/form-data, in the field '{FIELD}'.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    boundary = request.mimetype_params.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():  # RFC 2046, 5.1.1
        raise MalformedRequest("The content type must name a boundary of 1 to 70 ASCII characters.")
    return boundary.encode()


def _malformed() -> MalformedRequest:
    return MalformedRequest("The body is not valid multipart/form-data, or it is incomplete.")


def _only_one(name: str | None) -> InvalidRequest:
    if name == FIELD:
        return _invalid("send one file at a time", "repeated_field", FIELD)
    return _invalid(f"unknown field; send only the field '{FIELD}'", "extra_forbidden", (name or "")[:64])


def _invalid(message: str, code: str, field: str) -> InvalidRequest:
    name = field.encode("utf-8", "replace").decode()
    return InvalidRequest([Fault(message, code, pointer=pointer((name,)))])
