"""The fields of the job resource, as the command line and the docs list them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import get_type_hints

from jobs.engine.client.job import Job, Label

from .openapi.components import schemas_of
from .schema_words import words


@dataclass(frozen=True)
class JobField:
    name: str
    #: The name on the command line; empty if the line of another field includes it.
    label: str
    #: The type in words, as in `text or null`.
    type: str
    description: str


@cache
def job_fields() -> tuple[JobField, ...]:
    """Return the fields of the job resource, in their order."""
    components = schemas_of(Job)
    properties = components["Job"]["properties"]
    return tuple(
        JobField(name, _label(name), words(schema, components), schema["description"])
        for name, schema in properties.items()
    )


def _label(name: str) -> str:
    hint = get_type_hints(Job, include_extras=True).get(name)
    labels = [each.text for each in getattr(hint, "__metadata__", ()) if isinstance(each, Label)]
    if hint is None:  # an address: the API's alone
        return ""
    return labels[0] if labels else name.replace("_", " ")
