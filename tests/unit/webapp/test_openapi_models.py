"""Schemas of query parameters, bodies and resources, made from the models that read and return them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from jobs.engine.states import Status
from webapp.openapi.components import component, schemas_of
from webapp.openapi.models import body_schema, query_parameters


class Wheel(BaseModel):
    """A wheel."""

    radius: Annotated[float, Field(gt=0, description="In metres.")]


class Car(BaseModel):
    wheels: list[Wheel] = Field(min_length=3)
    colour: str = "red"


class Search(BaseModel):
    q: Annotated[str, Field(min_length=1, description="The words.")]
    status: Annotated[Status | None, Field(description="Only this status.")] = None
    limit: Annotated[int, Field(ge=1, description="How many.")] = 10


@dataclass(frozen=True)
class Trip:
    """A trip."""

    status: Status
    owner: Annotated[str, Field(exclude=True)]
    ended_at: Annotated[datetime | None, Field(description="When it ended.")] = None


def test_a_required_field_is_a_required_parameter() -> None:
    by_name = {each["name"]: each for each in query_parameters(Search)}
    assert by_name["q"] == {
        "name": "q",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": "The words.",
    }
    assert "required" not in by_name["status"]


def test_a_parameter_has_its_choices_and_its_default() -> None:
    by_name = {each["name"]: each["schema"] for each in query_parameters(Search)}
    assert by_name["status"] == {"type": "string", "enum": [str(status) for status in Status]}
    assert by_name["limit"] == {"type": "integer", "minimum": 1, "default": 10}


def test_the_objects_of_a_body_are_closed_at_every_level() -> None:
    schema = body_schema(Car)
    wheel = schema["properties"]["wheels"]["items"]
    assert schema["additionalProperties"] is wheel["additionalProperties"] is False
    assert schema["required"] == ["wheels"]
    assert wheel["properties"]["radius"]["description"] == "In metres."


def test_a_returned_object_has_every_public_field_without_defaults() -> None:
    schema = schemas_of(Trip)["Trip"]
    assert schema["required"] == list(schema["properties"]) == ["status", "ended_at"]
    assert "default" not in schema["properties"]["ended_at"]
    assert schema["description"] == "A trip."


def test_two_schemas_can_not_have_the_same_name() -> None:
    with pytest.raises(ValueError, match="Problem"):
        component("Problem", {"type": "string"})


def test_starting_the_web_process_makes_no_schema() -> None:
    # pydantic takes 2 to 8 ms for each, and only the document needs them.
    code = (
        "from pydantic.json_schema import GenerateJsonSchema\n"
        "def generate(*_): raise AssertionError('a schema was made')\n"
        "GenerateJsonSchema.generate = generate\n"
        "import webapp.application\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
