"""Describe JSON Schemas in words, and make valid examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]
Models = Mapping[str, Schema]

#: The id of an uploaded file in examples.
FILE = "0" * 32

PLAIN = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "null": "null",
    "object": "object",
    "string": "text",
}
FORMATS = {"date": "date", "date-time": "time", "email": "e-mail address", "file-id": "file", "uri": "URL"}
EXAMPLES = {"email": "reader@example.com", "uri": "https://example.com/article", "file-id": FILE}


def named_parts(schema: Schema, models: Models) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the type in words, and the notes of each property of an object."""
    schema = _resolved(schema, models)
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        notes = [_cell(part.get("description", ""))]
        if name not in required and part.get("default") is not None:
            notes.append(f"default: `{_cell(json.dumps(part['default'], ensure_ascii=False))}`")
        elif name not in required and "default" in part:
            notes.append("optional")
        yield name, _cell(words(part, models)), " ".join(filter(None, notes))


def words(schema: Schema, models: Models) -> str:
    """Return the type of a value in words."""
    schema = _resolved(schema, models)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(words(choice, models) for choice in choices))
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {words(schema.get('items', {}), models)}{_limits(schema, 'Items', ' of them')}"
    if kind == "object" and "properties" in schema:
        return "object with " + ", ".join(f"`{name}`" for name in schema["properties"])
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), "text") + _limits(schema, "Length", " characters")
    return PLAIN.get(str(kind), "any JSON value") + _limits(schema, "imum", "")


def example(schema: Schema, models: Models, name: str = "text") -> Any:
    """Return a valid value: the author's own example, or a minimal one."""
    schema = _resolved(schema, models)
    if schema.get("examples"):
        return schema["examples"][0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return example(choices[0], models, name)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            parts = schema.get("properties", {})
            return {part: example(parts[part], models, part) for part in schema.get("required", ())}
        case "array":
            return [example(schema.get("items", {}), models, name)] * max(1, schema.get("minItems", 1))
        case "string":
            return EXAMPLES.get(schema.get("format", ""), f"some {name.replace('_', ' ')}")
        case "boolean":
            return True
        case _:
            return schema.get("minimum", 1)


def _resolved(schema: Schema, models: Models) -> Schema:
    if "$ref" not in schema:
        return schema
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    return models[schema["$ref"].rpartition("/")[2]] | beside


def _limits(schema: Schema, of: str, what: str) -> str:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if least is None and most is None:
        return ""
    if most is None:
        return f", {least:,} or more" if least else ""
    return f", {least or 0:,} to {most:,}{what}" if least is not None else f", at most {most:,}{what}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
