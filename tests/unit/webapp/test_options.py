"""Every way to submit a job takes the same options and stores the same job."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.submission import Submission
from jobs.engine.settings import Settings
from tests.unit.webapp.command import Command
from tests.unit.webapp.door import ADMIN_KEY, Door
from webapp.batches import Entry, entry_schema
from webapp.openapi import openapi_document
from webapp.options import OPTIONS, Option


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def values_of(option: Option, door: Door) -> list[str]:
    """Return values for an option as text: two of a list, else one."""
    if option.name == "depends_on":
        return [door.submit("admin").job_id, door.submit("admin").job_id]
    value = option.choices[-1] if option.choices else option.example
    return [value, f"{value}-2"] if option.repeatable else [value]


def by_query(door: Door, given: dict[str, list[str]]) -> str:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    answer = door.anybody().post("/api/v1/jobs/reverse-text", json={"text": "x"}, query_string=given, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["job_id"])


def by_batch(door: Door, given: dict[str, list[str]]) -> str:
    repeatable = {option.name for option in OPTIONS if option.repeatable}
    number = {option.name: float for option in OPTIONS if option.value_type in ("number", "integer")}
    entry: dict[str, Any] = {"job_type": "reverse-text", "params": {"text": "x"}}
    for name, texts in given.items():
        entry[name] = texts if name in repeatable else number.get(name, str)(texts[0])
    Draft202012Validator(entry_schema()).validate(entry)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    answer = door.anybody().post("/api/v1/batches", json={"jobs": [entry]}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["job_ids"][0])


def by_form(door: Door, given: dict[str, list[str]]) -> str:
    browser = door.browser("admin")
    sent = {"/text": "x", "do": "submit", "csrf_token": browser.csrf_token}
    sent |= {name: ", ".join(texts) for name, texts in given.items()}
    answer = browser.client.post("/submit/reverse-text", data=sent, headers={"Origin": "http://localhost"})
    assert answer.status_code == 303, answer.text
    return answer.location.rpartition("/")[2]


def by_command(door: Door, given: dict[str, list[str]]) -> str:
    options = [part for name, texts in given.items() for each in texts for part in (flag(name), each)]
    return Command(door.app).submits("reverse-text", "--text", "x", *options)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def stored(door: Door, job_id: str) -> dict[bytes, bytes]:
    """Return the fields of a job in the broker, without those that differ between any two jobs."""
    record: Any = door.connection.hgetall(f"rq:job:{job_id}")
    if b"start_by" in record:
        record[b"start_by"] = b"some time"
    differ = (b"created_at", b"enqueued_at", b"score", "score", b"ready_at", b"due", b"group", b"number")
    return {name: value for name, value in record.items() if name not in differ}


def times(door: Door, job_id: str) -> list[float | None]:
    """Return when a job is due, and by when it must have started."""
    job = door.client.find(job_id)
    return [each.timestamp() if each else None for each in (job.scheduled_at, job.start_by)]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
@pytest.mark.parametrize("way", [by_batch, by_form, by_command])
def test_every_way_to_submit_stores_the_same_job_as_the_query(door: Door, way: Any, option: Option) -> None:
    given = {option.name: values_of(option, door)}
    job_id = by_query(door, given)
    one, its_times = stored(door, job_id), times(door, job_id)
    door.client.cancel(job_id)  # so that a unique key is free

    other, plain = way(door, given), way(door, {})

    assert stored(door, other) == one != stored(door, plain)
    for time, same_time in zip(times(door, other), its_times, strict=True):
        assert time == (same_time and pytest.approx(same_time, abs=30))


@pytest.mark.parametrize("way", [by_query, by_batch, by_form, by_command])
def test_duplicate_values_of_an_option_are_dropped(door: Door, way: Any) -> None:
    job_id = way(door, {"tag": ["a", "b", "a"]})
    assert door.client.find(job_id).tags == ["a", "b"]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_sets_a_field_of_the_submission(option: Option) -> None:
    assert (option.details.sets or option.name) in {field.name for field in fields(Submission)}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_is_explained_everywhere(door: Door, option: Option) -> None:
    listed = " ".join(Command(door.app)("jobs", "submit", "reverse-text", "--help").out.split())
    page = door.browser().client.get("/submit/reverse-text").text
    call = openapi_document(door.app, door.client.catalogue, Settings())["paths"]["/api/v1/jobs/reverse-text"]["post"]
    described = {each["name"]: each["description"] for each in call["parameters"]}

    assert flag(option.name) in listed and option.explanation in listed
    assert f'name="{option.name}"' in page and f">{option.details.label}</label>" in page and option.description in page
    assert described[option.name] == option.explanation
    assert entry_schema()["properties"][option.name]["description"] == option.explanation


def test_the_schema_of_an_entry_has_the_fields_of_an_entry() -> None:
    assert set(entry_schema()["properties"]) == set(Entry.model_fields)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"priority": "high"}, True),
        ({"priority": None}, True),
        ({"priority": "urgent"}, False),
        ({"delay": 0}, True),
        ({"delay": -1}, False),
        ({"delay": "1"}, False),
        ({"timeout": 86_400}, True),
        ({"timeout": 86_401}, False),
        ({"timeout": 1.5}, False),
        ({"run_at": 1_900_000_000}, False),
        ({"tag": "a"}, True),
        ({"tag": ["a"]}, True),
        ({"tag": ["a b"]}, False),
        ({"depends_on": [""]}, False),
        ({"webhook_url": 1}, False),
    ],
)
def test_the_schema_of_an_entry_agrees_with_the_batch_endpoint(door: Door, value: dict[str, Any], fits: bool) -> None:
    body = {"jobs": [{"job_type": "reverse-text", "params": {"text": "x"}, **value}]}
    answer = door.anybody().post("/api/v1/batches", json=body, headers=door.bearer())

    assert Draft202012Validator(entry_schema()).is_valid(body["jobs"][0]) is fits
    assert (answer.status_code == 202) is fits


def test_the_document_describes_the_entries_of_a_batch(door: Door) -> None:
    document = openapi_document(door.app, Catalogue(), Settings())
    body = document["paths"]["/api/v1/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["jobs"]["items"] == entry_schema()
