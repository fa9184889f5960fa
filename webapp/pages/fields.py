"""Make the fields of a form from the JSON Schema of a job type's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from jobs.engine.author.file_parameters import FORMAT
from jobs.engine.json_pointer import parts, pointer

Kind = Literal["text", "long", "number", "choice", "yes_no", "lines", "file", "files", "group", "json"]
Schema = dict[str, Any]

#: Longer texts get a field with several lines.
LINE_CHARACTERS = 300
#: Models that are nested deeper are entered as JSON.
MAX_DEPTH = 4

_NUMBERS = ("integer", "number")
_SIMPLE = ("string", *_NUMBERS)
#: The limits of a schema in words.
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "entries: at least {}",
    "maxItems": "entries: at most {}",
    "maxLength": "at most {} characters",
}


@dataclass(frozen=True)
class Field:
    """One parameter, or one property of a model."""

    #: The JSON Pointer into the parameters; also the name in the form.
    pointer: str
    label: str
    kind: Kind
    required: bool
    #: True if null is a valid value.
    nullable: bool
    #: Without null, and with references resolved.
    schema: Schema
    default: Any = None
    #: The fields of a group.
    children: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        return parts(self.pointer)[-1]

    @property
    def element_id(self) -> str:
        return "field" + "".join(each if each.isalnum() or each in "_-" else "-" for each in self.pointer)

    @property
    def items(self) -> Schema:
        items: Schema = self.schema.get("items", {})
        return items

    @property
    def choices(self) -> list[Any]:
        return list(self.schema["enum"]) if "enum" in self.schema else [self.schema["const"]]

    @property
    def hint(self) -> str:
        """Return the description and the limits of the value."""
        parts = [str(self.schema.get("description", "")).rstrip(".")] if self.kind not in ("file", "files") else []
        if self.kind == "lines":
            parts.append("One per line")
        if self.kind == "json":
            parts.append("In JSON")
        if self.schema.get("format") == "date-time":
            parts.append("A time with a zone, for example 2030-01-31T12:00:00Z")
        parts += [words.format(self.schema[name]) for name, words in _LIMITS.items() if name in self.schema]
        return "; ".join(part for part in parts if part)

    @property
    def example(self) -> str:
        """Return the shape of a value that is entered as JSON."""
        return f"[{_shape(self.items)}]" if self.schema.get("type") == "array" else _shape(self.schema)

    def walk(self) -> Iterator[Field]:
        """Yield this field and all fields below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def fields_of(schema: Schema) -> tuple[Field, ...]:
    """Return the fields for an object's properties, in their order."""
    return _properties(schema, schema.get("$defs", {}), "", 0)


def _properties(schema: Schema, models: Schema, place: str, depth: int) -> tuple[Field, ...]:
    required = schema.get("required", [])
    return tuple(
        _field(place + pointer((name,)), part, models, name in required, depth)
        for name, part in schema["properties"].items()
    )


def _field(place: str, schema: Schema, models: Schema, required: bool, depth: int) -> Field:
    whole = _followed(schema, models)
    core, nullable = _without_null(whole, models)
    core = {**core, "items": _followed(core["items"], models)} if isinstance(core.get("items"), dict) else core
    kind = _kind(core, depth)
    label = str(whole.get("title") or place.rpartition("/")[2].replace("_", " ").capitalize())
    children = _properties(core, models, place, depth + 1) if kind == "group" else ()
    return Field(place, label, kind, required, nullable, core, whole.get("default"), children)


def _followed(schema: Schema, models: Schema) -> Schema:
    """Resolve a reference. Members beside the reference override those of its target."""
    seen: set[str] = set()
    while "$ref" in schema and schema["$ref"] not in seen:
        seen.add(schema["$ref"])
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        schema = {**models.get(schema["$ref"].rpartition("/")[2], {}), **beside}
    return schema


def _without_null(schema: Schema, models: Schema) -> tuple[Schema, bool]:
    branches = schema.get("anyOf", [])
    others = [each for each in branches if each.get("type") != "null"]
    nullable = len(others) < len(branches)
    if nullable and len(others) == 1:
        beside = {name: value for name, value in schema.items() if name in ("description", "title")}
        return {**_followed(others[0], models), **beside}, True
    return schema, nullable


def _kind(schema: Schema, depth: int) -> Kind:
    if "enum" in schema or "const" in schema:
        return "choice"
    match schema.get("type"):
        case "string":
            return _kind_of_text(schema)
        case "integer" | "number":
            return "number"
        case "boolean":
            return "yes_no"
        case "array":
            return _kind_of_list(schema)
        case "object" if schema.get("properties") and depth < MAX_DEPTH:
            return "group"
    return "json"


def _kind_of_text(schema: Schema) -> Kind:
    if schema.get("format") == FORMAT:
        return "file"
    short = schema.get("format") or schema.get("maxLength", LINE_CHARACTERS + 1) <= LINE_CHARACTERS
    return "text" if short or ("pattern" in schema and "maxLength" not in schema) else "long"


def _kind_of_list(schema: Schema) -> Kind:
    items = schema.get("items", {})
    if items.get("type") == "string" and items.get("format") == FORMAT:
        return "files"
    return "lines" if items.get("type") in _SIMPLE and "prefixItems" not in schema else "json"


def _shape(schema: Schema) -> str:
    names = ", ".join(f'"{name}": …' for name in schema.get("properties", {}))
    return f"{{{names}}}" if names else "…"


def is_number(schema: Schema) -> bool:
    return schema.get("type") in _NUMBERS
