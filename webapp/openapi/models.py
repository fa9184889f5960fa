"""Describe query parameters and bodies by the pydantic models that read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from .schemas import Schema

#: What belongs to a parameter or a property, and not to the schema of its value.
_ABOUT = {"title", "description", "default", "examples"}


class _Sent(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (pydantic names it)
        return False


def query_parameters(model: type[BaseModel]) -> list[Schema]:
    """Describe the fields of a model as query parameters."""
    whole = model.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            **({"required": True} if field.is_required() else {}),
            "schema": value_schema(whole["properties"][name], whole.get("$defs", {})) | _default(field.default),
            "description": field.description,
        }
        for name, field in model.model_fields.items()
    ]


def value_schema(part: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema of a property's value without null, references, title, description and default."""
    (core,) = [each for each in part.get("anyOf", [part]) if each.get("type") != "null"]
    if "$ref" in core:
        core = definitions[core["$ref"].rpartition("/")[2]]
    plain = {name: value for name, value in core.items() if name not in _ABOUT}
    return plain | ({"examples": part["examples"]} if "examples" in part and core.get("type") != "array" else {})


def body_schema(model: type[BaseModel]) -> Schema:
    """Describe a model as a JSON object. Unknown properties are refused at every level."""
    whole = model.model_json_schema(schema_generator=_Sent)
    schema: Schema = _closed(whole, whole.pop("$defs", {}))
    return schema


def _default(value: Any) -> Schema:
    return {"default": value} if isinstance(value, bool | int | str) else {}


def _closed(part: Any, definitions: Mapping[str, Schema]) -> Any:
    """Return the schema with its references replaced by what they refer to, and its objects closed."""
    if isinstance(part, list):
        return [_closed(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        part = definitions[part["$ref"].rpartition("/")[2]] | {name: part[name] for name in part if name != "$ref"}
    closed = {name: _closed(value, definitions) for name, value in part.items()}
    if "properties" in part:
        closed.pop("title", None)
        closed.pop("description", None)
        closed["additionalProperties"] = False
    return closed
