"""Read query parameters strictly: unknown, repeated and malformed ones are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar, get_origin

from flask import request
from pydantic import BaseModel, BeforeValidator, ValidationError

from jobs.engine.errors import Fault, InvalidRequest
from jobs.engine.pydantic_errors import plain_errors

from .current import current_request

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LOST_PLUS = re.compile(r".*T.* \d\d:\d\d")

A_TIME = "an RFC 3339 time with a zone, for example 2030-01-31T12:00:00Z"


class Nothing(BaseModel):
    """For requests without query parameters."""


Model = TypeVar("Model", bound=BaseModel)


def query(kind: type[Model]) -> Model:
    """Read the query into a pydantic model. Only a field that is a tuple may be repeated.

    Raises:
        InvalidRequest: with one fault for each parameter that is unknown, repeated or not valid.
    """
    if not current_request().environ.get("QUERY_STRING"):
        empty: Model = _without_values(kind)
        return empty
    if faults := list(_misplaced(kind)):
        raise InvalidRequest(faults)
    return read(
        kind,
        {
            name: tuple(request.args.getlist(name)) if _repeatable(kind, name) else request.args[name]
            for name in request.args
        },
    )


@cache
def _without_values(kind: type[Model]) -> Model:
    """Return the model without values, which most requests need, made once."""
    return read(kind, {})


def read(kind: type[Model], values: dict[str, Any]) -> Model:
    """Read values, by name, into a pydantic model.

    Raises:
        InvalidRequest: with one fault for each value that is not valid.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [_fault(each) for each in plain_errors(error)]
        raise InvalidRequest(faults) from None


def _misplaced(kind: type[BaseModel]) -> Iterator[Fault]:
    for name, values in request.args.lists():
        if name not in kind.model_fields:
            known = ", ".join(kind.model_fields) or "none"
            yield Fault(f"unknown parameter; this request accepts {known}", "unknown_parameter", parameter=name[:64])
        elif len(values) > 1 and not _repeatable(kind, name):
            yield Fault("specified more than once", "repeated_parameter", parameter=name)


def _repeatable(kind: type[BaseModel], name: str) -> bool:
    return get_origin(kind.model_fields[name].annotation) is tuple


def _fault(error: Any) -> Fault:
    return Fault(error["msg"], error["type"], parameter=str(error["loc"][0]))


def _integer(text: Any) -> Any:
    if isinstance(text, str) and not _INTEGER.fullmatch(text):
        raise ValueError("expected a whole number")
    return text


def _decimal(text: Any) -> Any:
    if isinstance(text, str) and not _DECIMAL.fullmatch(text):
        raise ValueError("expected a number")
    return text


def _moment(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if _LOST_PLUS.fullmatch(text):
        raise ValueError("expected an RFC 3339 time with a zone; write the + of the zone as %2B")
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"expected {A_TIME}")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("the time does not exist or is out of range") from None


#: pydantic alone would also accept '1_000', ' 5' and '2.0' as whole numbers. Put bounds before these validators:
#: pydantic leaves bounds that follow them out of its JSON Schema.
WHOLE_NUMBER = BeforeValidator(_integer)
NUMBER = BeforeValidator(_decimal)

#: pydantic alone would also accept a number as a time.
Moment = Annotated[datetime, BeforeValidator(_moment)]
