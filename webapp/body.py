"""Read JSON bodies strictly: limited in size and depth, without duplicate keys and unstorable text."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from jobs.engine.errors import Fault, InvalidRequest, MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from jobs.engine.json_pointer import Path, pointer
from jobs.engine.pydantic_errors import plain_errors

from .current import current_request
from .services import services

#: Deeper bodies are refused, because their later readers (pydantic, Lua in the broker) recurse.
MAX_DEPTH = 100
#: A number must fit in a double, whose largest value is 1.8e308.
MAX_INTEGER_DIGITS = 308
_CHUNK_BYTES = 65_536

Model = TypeVar("Model", bound=BaseModel)


def json_value(max_bytes: int | None = None) -> Any:
    """Read the body, of at most `max_bytes` (by default MAX_PARAMS_BYTES), as JSON.

    Raises:
        PayloadTooLarge: it is over the limit; the rest is not read.
        UnsupportedMediaType: its content type is not application/json, or it is encoded.
        MalformedRequest: it is not JSON, has a duplicate key, is too deep, or has a number too large for a double.
        InvalidRequest: a text contains NUL or a lone surrogate, which can't be stored.
    """
    limit = max_bytes if max_bytes is not None else services().settings.max_params_bytes
    if (current_request().content_length or 0) > limit:
        raise _too_large(limit)
    _refuse_other_types()
    return strict_json(_decoded(_read(limit)))


def strict_json(text: str) -> Any:
    """Read a text as JSON.

    Raises:
        MalformedRequest: it is not JSON, has a duplicate key, is too deep, or has a number too large for a double.
        InvalidRequest: a text contains NUL or a lone surrogate, which can't be stored.
    """
    value = _parsed(text)
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise _too_deep()
    # Only an escape can produce these characters: JSON forbids a bare NUL, and UTF-8 a surrogate.
    if "\\u" in text and (faults := list(_bad_texts(value))):
        raise InvalidRequest(faults)
    return value


def json_object(max_bytes: int | None = None) -> dict[str, Any]:
    """Read the body as `json_value` does, and refuse anything but an object."""
    value = json_value(max_bytes)
    if not isinstance(value, dict):
        raise InvalidRequest([Fault("send a JSON object", "object_type", pointer="")])
    return value


def model(kind: type[Model], max_bytes: int | None = None) -> Model:
    """Read the body as `json_object` does, into a pydantic model; unknown fields are refused."""
    return model_of(kind, json_object(max_bytes))


def optional_model(kind: type[Model]) -> Model:
    """Read the body as `model` does. No body means an empty object."""
    return model(kind) if _has_body() else model_of(kind, {})


def model_of(kind: type[Model], value: dict[str, Any]) -> Model:
    """Read parsed JSON into a pydantic model; unknown fields are refused."""
    try:
        return kind.model_validate(value, extra="forbid")
    except ValidationError as error:
        faults = [_fault(each) for each in plain_errors(error)]
        raise InvalidRequest(faults) from None


def form(max_bytes: int) -> MultiDict[str, str]:
    """Read the body, of at most `max_bytes`, as a form.

    Raises:
        RequestEntityTooLarge: it is over the limit; the rest is not read.
    """
    request = current_request()
    request.max_content_length = max_bytes
    fields = request.form
    # werkzeug (3.1, wsgi.py, LimitedStream.readall) silently truncates a chunked form at the limit.
    request.stream.read(1)
    return fields


def no_body() -> None:
    """Refuse any body but an empty JSON object."""
    if _has_body() and (value := json_object()):
        faults = [Fault("unknown field", "extra_forbidden", pointer=_pointer((name,))) for name in value]
        raise InvalidRequest(faults)


def _has_body() -> bool:
    request = current_request()
    return bool(request.content_length) or (request.content_length is None and "Transfer-Encoding" in request.headers)


def _refuse_other_types() -> None:
    request = current_request()
    if request.environ.get("CONTENT_TYPE") == "application/json" and "HTTP_CONTENT_ENCODING" not in request.environ:
        return  # as most clients send it: nothing to parse
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType()
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without Content-Encoding.")


def _read(limit: int) -> bytes:
    """Return the bytes of the body. Reading one byte more than the limit shows that it is too large."""
    request = current_request()
    length = request.content_length
    body = bytearray()
    try:
        if length is not None:
            # Exactly the announced number of bytes: Werkzeug's stream would count them again.
            source = request.environ["wsgi.input"]
            while len(body) < length and (chunk := source.read(min(length - len(body), _CHUNK_BYTES))):
                body += chunk
            if len(body) < length:
                raise MalformedRequest("The body is shorter than its Content-Length.")
            return bytes(body)
        request.max_content_length = limit + 1
        while chunk := request.stream.read(_CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except (ClientDisconnected, OSError):
        raise MalformedRequest("The body ended too early, or its framing is invalid.") from None
    return bytes(body)


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: see byte {error.start}.") from None


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise MalformedRequest(f"The body is not JSON: {error}.") from None


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise ValueError(f"a number of more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number over 1.8e308")
    return number


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:64]!a} appears twice in one object")
    return fields


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth


def _bad_texts(value: Any, path: Path = ()) -> Iterator[Fault]:
    """Yield a fault for each text that can't be stored; the fault of a key points to its object."""
    if isinstance(value, str) and not _storable(value):
        yield Fault("contains NUL or a lone surrogate", "unstorable_text", pointer=_pointer(path))
    elif isinstance(value, dict):
        if not all(map(_storable, value)):
            yield Fault("a key contains NUL or a lone surrogate", "unstorable_text", pointer=_pointer(path))
        for name, child in value.items():
            yield from _bad_texts(child, (*path, name))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _bad_texts(child, (*path, position))


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _pointer(path: Path) -> str:
    """Return a JSON Pointer in which characters that can't be encoded are replaced."""
    return pointer(path).encode("utf-8", "replace").decode().replace("\0", "?")


def _fault(error: Any) -> Fault:
    return Fault(error["msg"], error["type"], pointer=_pointer(error["loc"]))


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is over the limit of {limit} bytes.")


def _too_deep() -> MalformedRequest:
    return MalformedRequest(f"The body is nested more than {MAX_DEPTH} levels deep.")
