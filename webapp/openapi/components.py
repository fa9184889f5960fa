"""The named schemas of the document: each is made where its resource or its list is described."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from .schemas import CURSOR, Schema, returned

#: By name. The modules of the views fill it when they are imported.
COMPONENTS: dict[str, Schema] = {}


class _Returned(GenerateJsonSchema):
    """Make schemas of objects that the API returns: every field is present, without a title and a default."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (pydantic names it)
        return False

    def default_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])

    def field_is_required(self, field: Any, total: bool) -> bool:
        return field["type"] == "dataclass-field" or super().field_is_required(field, total)


def component(name: str, schema: Schema) -> Schema:
    """Add a schema to the document under a name, and return a reference to it."""
    if COMPONENTS.setdefault(name, schema) != schema:
        raise ValueError(f"Two schemas are called {name}.")
    return {"$ref": f"#/components/schemas/{name}"}


def resource(kind: type, *, name: str | None = None, example: dict[str, Any] | None = None) -> Schema:
    """Add the schema of a dataclass and of the classes it refers to, and return a reference to it.

    Its name is that of the class unless another is given.
    """
    schemas = schemas_of(kind)
    own = schemas.pop(kind.__name__)
    for other, schema in schemas.items():
        component(other, schema)
    return component(name or kind.__name__, own | ({"examples": [example]} if example else {}))


def page_of(name: str, plural: str, item: Schema) -> Schema:
    """Add the schema of a page of a list, and return a reference to it."""
    return component(name, returned({plural: {"type": "array", "items": item}, "next_cursor": CURSOR}))


def schemas_of(kind: type) -> dict[str, Schema]:
    """Return the schema of a dataclass and those of the classes it refers to, by class name."""
    adapter: list[Any] = [(kind, "serialization", TypeAdapter(kind))]
    _, definitions = TypeAdapter.json_schemas(
        adapter, ref_template="#/components/schemas/{model}", schema_generator=_Returned
    )
    schemas: dict[str, Schema] = definitions["$defs"]
    for schema in schemas.values():
        schema.pop("title", None)
    return schemas
