"""The OpenAPI schemas of resources, made from the dataclasses that describe them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

Schema = dict[str, Any]


class _Answered(GenerateJsonSchema):
    """Schemas of objects that the API returns: every field is present, and only a class has a title."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (pydantic names it)
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        return field["type"] == "dataclass-field" or super().field_is_required(field, total)


def components_of(*classes: type) -> dict[str, Schema]:
    """Return the schema of each dataclass and of what its fields refer to, by class name."""
    inputs: list[Any] = [(each, "serialization", TypeAdapter(each)) for each in classes]
    _, definitions = TypeAdapter.json_schemas(
        inputs, ref_template="#/components/schemas/{model}", schema_generator=_Answered
    )
    components: dict[str, Schema] = definitions["$defs"]
    return components
