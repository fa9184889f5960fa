"""Turn the dataclass that describes a resource into the resource of the HTTP API."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import Field, SerializeAsAny, TypeAdapter
from pydantic.fields import FieldInfo

from .times import rfc3339

_TIMES = (datetime, datetime | None)

#: A whole number in a resource, never below 0.
Whole = Annotated[int, Field(ge=0)]
#: Seconds in a resource. A whole number stays one: pydantic would write the 60 of a `float` as 60.0.
Seconds = SerializeAsAny[Annotated[float, Field(ge=0)]]


def public_fields(instance: object) -> dict[str, Any]:
    """Return the fields of a dataclass by name, without those that `Field(exclude=True)` hides, and with times as text.

    It copies and validates nothing: every poll calls it.
    """
    kind: Any = type(instance)
    hidden, times = _shape(kind)
    fields = instance.__dict__.copy()
    for name in hidden:
        del fields[name]
    for name in times:
        if (moment := fields[name]) is not None:
            fields[name] = rfc3339(moment)
    return fields


def nested_fields(instance: object) -> dict[str, Any]:
    """Return the fields of a dataclass as its schema describes them, with computed fields and the dataclasses in it.

    It is slower than `public_fields`, and it writes times as pydantic does.
    """
    kind: Any = type(instance)
    fields: dict[str, Any] = _adapter(kind).dump_python(instance, mode="json")
    return fields


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def _shape(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the hidden fields, and of those that are times."""
    details = get_type_hints(kind, include_extras=True)
    hidden = [name for name, hint in details.items() if any(map(_hides, getattr(hint, "__metadata__", ())))]
    times = [name for name, hint in get_type_hints(kind).items() if hint in _TIMES and name not in hidden]
    return tuple(hidden), tuple(times)


def _hides(detail: object) -> bool:
    return isinstance(detail, FieldInfo) and detail.exclude is True
