"""Schemas of plain values, and the parts that larger schemas are put together from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import WithJsonSchema

from jobs.engine.states import Status

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time"}
CURSOR: Schema = {"type": ["string", "null"], "description": "The `cursor` of the next page; null on the last page."}
STATUS: Schema = {"type": "string", "enum": [str(status) for status in Status]}


@dataclass(frozen=True)
class Later:
    """A part of the document that is made with the document, and not when a module is imported.

    pydantic takes 2 to 8 ms to make the schema of a class, in every process that imports it.
    """

    make: Callable[[], Any]


def complete(part: Any) -> Any:
    """Return a part of the document in which every `Later` is replaced by what it makes."""
    if isinstance(part, Later):
        return complete(part.make())
    if isinstance(part, dict):
        return {name: complete(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [complete(value) for value in part]
    return part


def nullable(schema: Schema) -> Schema:
    """Return the schema with null as a further value."""
    changed = schema | {"type": [schema["type"], "null"]}
    return changed | {"enum": [*schema["enum"], None]} if "enum" in schema else changed


def returned(properties: dict[str, Schema], **more: Any) -> Schema:
    """Describe an object that the API returns: every property is present, and later versions may add some."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def sent(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Describe an object that a client sends: unknown properties are refused."""
    required = [name for name in properties if name not in optional]
    closed: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed | ({"required": required} if required else {})


#: The type of a field that counts jobs by status.
JobCounts = Annotated[dict[str, int], WithJsonSchema(returned(dict.fromkeys(STATUS["enum"], COUNT)))]
