"""The named schemas of the document: each is made where its resource or its list is described."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from .schemas import CURSOR, Schema, complete, returned

#: The schemas by name, and functions that make further ones. The modules of the views fill both when they are imported.
_NAMED: dict[str, Schema] = {}
_RESOURCES: list[Callable[[], dict[str, Schema]]] = []


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
    _add(_NAMED, name, schema)
    return _reference(name)


def resource(kind: type, *, name: str | None = None, example: dict[str, Any] | None = None) -> Schema:
    """Add the schema of a dataclass and of the classes it refers to, and return a reference to it.

    Its name is that of the class unless another is given.
    """
    own_name = name or kind.__name__

    def make() -> dict[str, Schema]:
        schemas = schemas_of(kind)
        own = schemas.pop(kind.__name__)
        return schemas | {own_name: own | ({"examples": [example]} if example else {})}

    _RESOURCES.append(make)
    return _reference(own_name)


def page_of(name: str, plural: str, item: Schema) -> Schema:
    """Add the schema of a page of a list, and return a reference to it."""
    return component(name, returned({plural: {"type": "array", "items": item}, "next_cursor": CURSOR}))


def components() -> dict[str, Schema]:
    """Return all schemas that were added, by name.

    Raises:
        ValueError: two different ones have the same name.
    """
    made: dict[str, Schema] = complete(_NAMED)
    for make in _RESOURCES:
        for name, schema in make().items():
            _add(made, name, schema)
    return made


def _add(schemas: dict[str, Schema], name: str, schema: Schema) -> None:
    if schemas.setdefault(name, schema) != schema:
        raise ValueError(f"Two schemas are called {name}.")


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def schemas_of(kind: type) -> dict[str, Schema]:
    """Return the schema of a dataclass and those of the classes it refers to, by class name."""
    adapter: list[Any] = [(kind, "serialization", TypeAdapter(kind))]
    _, definitions = TypeAdapter.json_schemas(
        adapter, ref_template="#/components/schemas/{model}", schema_generator=_Returned
    )
    schemas: dict[str, Schema] = definitions["$defs"]
    for schema in schemas.values():
        schema.pop("title", None)
        if "description" in schema:  # the rest of a docstring is for callers of the class
            schema["description"] = schema["description"].partition("\n\n")[0]
    return schemas
