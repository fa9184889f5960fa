"""Write JSON responses with pydantic's core, which takes an eighth of the time of the standard library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Response
from pydantic_core import PydanticSerializationError, to_json
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_-]*")


class _Json(Response):
    """A response whose body and headers are complete when it is made."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Werkzeug (3.1.9, wrappers/response.py) copies the headers, corrects the ones that may need it, and wraps the
        # body. A third of the time of a response, for nothing: here only a Location could need it.
        headers = self.headers.to_wsgi_list()
        corrected = any(name == "Location" and not _PLAIN_PATH.fullmatch(value) for name, value in headers)
        if corrected or self._on_close or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, headers)
        body: Iterable[bytes] = self.response  # type: ignore[assignment]  # json_response makes it a list of bytes
        return body


def json_response(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return a response with `value` as compact JSON in UTF-8 and a line break. Further `headers` are added."""
    try:
        text = to_json(value)
    except PydanticSerializationError:
        # A function returned a lone surrogate, which only an escape can represent.
        text = json.dumps(value).encode()
    body = text + b"\n"
    all_headers = Headers()
    # At once: setting one header searches those before it.
    all_headers[:] = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]
    return _Json([body], status, all_headers)
