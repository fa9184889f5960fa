"""The OpenAPI document is valid and complete, and matches the routes and the job types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from jobs.engine.author.decorator import job
from jobs.engine.author.limit import Limit
from jobs.engine.author.retry import Retry
from jobs.engine.author.unique import Unique
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.job import Job
from jobs.engine.client.pauses import Pause
from jobs.engine.settings import Settings
from jobs.engine.worker.log_lines import LogLines
from tests.unit.webapp.door import Door
from webapp import jobs, problems
from webapp.job_types import job_type_fields
from webapp.openapi import openapi_document
from webapp.options import Options


class Tree(BaseModel):
    value: float | None = None
    branches: list[Tree] = []


def config_of(field: str, hint: type) -> type[BaseModel]:
    return type("Config", (BaseModel,), {"__annotations__": {field: hint}})


FirstConfig = config_of("epochs", int)
SecondConfig = config_of("height", str)


@job(
    retry=Retry(max=3, on=(OSError,)),
    priority="high",
    stall_timeout=30,
    limits=[Limit(running=2), Limit(rate="60/minute", by="seed")],
    unique=Unique(by="seed", ttl=60),
)
def train_model(config: FirstConfig, tree: Tree = Tree(), seed: int | None = None) -> Tree:  # type: ignore[valid-type]  # noqa: B008
    """Train a model.

    It takes a while.
    """
    return tree


@job
def process_video(config: SecondConfig) -> dict[str, SecondConfig]:  # type: ignore[valid-type]
    return {"best": config}


@job
def clean_up(): ...


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return Door(tmp_path_factory.mktemp("data")).app


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    catalogue = Catalogue(JobType.of(function) for function in (train_model, process_video, clean_up))
    return openapi_document(app, catalogue, Settings(redis_url=None))


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def follow(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    found = document
    for part in reference[2:].split("/"):
        found = found[part]
    return found


def validator(document: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"})


def without_further_fields(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the document with these schemas closed: a field that they do not describe is an error."""
    schemas = document["components"]["schemas"]
    closed = {name: schemas[name] | {"additionalProperties": False} for name in names}
    return {**document, "components": document["components"] | {"schemas": schemas | closed}}


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_a_document_without_job_types_is_valid(app):
    empty = openapi_document(app, Catalogue(), Settings())
    assert list(OpenAPIV31SpecValidator(empty).iter_errors()) == []


def test_the_document_is_json_and_its_references_resolve(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    found = list(references(document))
    assert found
    for reference in found:
        assert isinstance(follow(document, reference), dict)


#: People use these with a browser.
FOR_PEOPLE = ("pages", "sign_in", "rq_dashboard")


def test_every_route_for_programs_is_described_and_no_other(document, app):
    routes = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static" or rule.endpoint.partition(".")[0] in FOR_PEOPLE:
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            paths = [path]
            if (method, path) == ("POST", "/api/v1/jobs/{job_type}"):
                paths = [f"/api/v1/jobs/{name}" for name in ("train-model", "process-video", "clean-up")]
            routes |= {(method.lower(), each) for each in paths}
    assert {(method, path) for method, path, _ in operations_of(document)} == routes


def test_every_schema_is_used(document):
    used = {reference.rpartition("/")[2] for reference in references(document)}
    assert {name for name in document["components"]["schemas"] if "." not in name} <= used


def test_every_option_of_a_submission_is_described(document):
    parameters = document["paths"]["/api/v1/jobs/train-model"]["post"]["parameters"]
    described = {each["name"] for each in parameters if each["in"] == "query"}
    assert described == set(Options.model_fields)
    assert {each["name"] for each in parameters if each["in"] == "header"} == {"Idempotency-Key", "Prefer"}


def test_every_filter_of_the_list_is_described(document):
    parameters = document["paths"]["/api/v1/jobs"]["get"]["parameters"]
    assert {each["name"] for each in parameters} == set(jobs.Filters.model_fields)


def test_each_job_type_is_submitted_with_its_own_parameters_and_result(document):
    call = document["paths"]["/api/v1/jobs/train-model"]["post"]
    assert call["summary"] == "Train a model."
    assert "It takes a while." in call["description"]
    body = call["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/train-model.params"}
    job = {"$ref": "#/components/schemas/train-model.job"}
    stored, found = (call["responses"][each]["content"]["application/json"]["schema"] for each in ("202", "200"))
    assert stored == job
    assert found["allOf"][0] == job
    assert set(found["allOf"][1]["properties"]) == {"deduplicated"}
    params = validator(document, "train-model.params")
    assert params.is_valid({"config": {"epochs": 3}, "tree": {"branches": [{"value": 1.5}]}})
    assert not params.is_valid({"config": {"epochs": "x"}})
    assert not params.is_valid({"config": {"epochs": 3}, "unknown": 1})


def test_models_of_the_same_name_from_two_job_types_stay_separate(document):
    assert validator(document, "train-model.params").is_valid({"config": {"epochs": 3}})
    assert not validator(document, "train-model.params").is_valid({"config": {"height": "720p"}})
    assert validator(document, "process-video.params").is_valid({"config": {"height": "720p"}})
    assert not validator(document, "process-video.params").is_valid({"config": {"epochs": 3}})


@pytest.mark.parametrize(
    ("result", "fits"), [({"value": None, "branches": []}, True), (None, True), ({"value": "x"}, False), (3, False)]
)
def test_the_job_resource_of_a_type_has_that_type_s_result(document, result, fits):
    example = document["components"]["schemas"]["Job"]["examples"][0]
    resource = example | {"job_type": "train-model", "params": {"config": {"epochs": 3}}, "result": result}
    assert validator(document, "train-model.job").is_valid(resource) is fits


def test_the_job_resource_has_the_fields_that_are_returned(document):
    answered = {*Job.__dataclass_fields__} - {"trace"} | {"poll_url", "stream_url"}
    schema = document["components"]["schemas"]["Job"]
    assert set(schema["properties"]) == set(schema["required"]) == answered


@pytest.mark.parametrize("paused", [None, Pause(datetime(2030, 1, 31, tzinfo=UTC), "alice", None, None)])
@pytest.mark.parametrize(
    ("schema", "name"), [("JobType", "train-model"), ("JobType", "clean-up"), ("RemovedJobType", "without-code")]
)
def test_a_job_type_has_exactly_the_fields_of_its_schema(document, tmp_path, schema, name, paused):
    with Door(tmp_path, functions=(train_model, clean_up)).app.app_context():
        shown = json.loads(json.dumps(job_type_fields(name, paused)))
    closed = without_further_fields(document, schema, "RetryPolicy", "Limit", "Unique", "Pause")
    assert list(validator(closed, schema).iter_errors(shown)) == []


def test_an_event_and_a_log_line_have_the_fields_of_their_schemas(document, tmp_path):
    door = Door(tmp_path)
    browser = door.browser()
    job_id = door.submit().job_id
    lines = LogLines(attempt=1)
    lines.add(0, "info", "hello")
    door.connection.rpush(f"wh:logs:{job_id}", *lines.waiting(), "not a line")
    door.connection.hset(f"rq:job:{job_id}", "logged", 2)
    events = browser.client.get(f"/api/v1/jobs/{job_id}/events").get_json()["events"]
    log = browser.client.get(f"/api/v1/jobs/{job_id}/logs").get_json()["lines"]
    assert (len(events), len(log)) == (1, 2)
    closed = without_further_fields(document, "LogLine")
    assert [error for line in log for error in validator(closed, "LogLine").iter_errors(line)] == []
    assert [error for event in events for error in validator(document, "Event").iter_errors(event)] == []
    assert events[0]["status"] == "pending"  # further properties depend on the type


def test_a_whole_number_of_seconds_stays_whole_in_a_job_type():
    shown = JobType.of(train_model).as_dict()
    assert json.dumps([shown["stall_timeout"], shown["unique"]["ttl"], shown["retry"]["delay"]]) == "[30, 60, 1]"


def test_every_example_matches_its_schema(document):
    checked = 0
    for _, _, operation in operations_of(document):
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            whole = follow(document, part["$ref"]) if "$ref" in part else part
            for content in whole.get("content", {}).values():
                if "example" in content:
                    Draft202012Validator({**document, **content["schema"]}).validate(content["example"])
                    checked += 1
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            validator(document, name).validate(example)
            checked += 1
    assert checked > 10


def test_every_error_is_a_problem_document_under_its_status(document):
    for _, _, operation in operations_of(document):
        for status, response in operation["responses"].items():
            if status == "default" or int(status) >= 400:
                whole = follow(document, response["$ref"])
                (content,) = whole["content"].items()
                assert content[0] == "application/problem+json"
                assert status in ("default", str(content[1]["example"]["status"]))


def test_a_submission_lists_every_status_that_it_may_return(document):
    statuses = set(document["paths"]["/api/v1/jobs/train-model"]["post"]["responses"])
    assert statuses == {"200", "202", "400", "401", "403", "409", "413", "415", "422", "429", "503", "default"}


def test_every_error_example_has_the_status_of_its_code(document):
    by_code = {"job_ended": 409, "internal_error": 500}
    for kind, status in problems.STATUSES.items():
        by_code[kind.code] = int(status)
    by_code |= {"job_not_found": 404, "rate_limited": 429, "broker_unavailable": 503, "invalid_parameters": 422}
    for response in document["components"]["responses"].values():
        example = response["content"]["application/problem+json"]["example"]
        assert by_code[example["code"]] == example["status"]


def test_only_open_routes_are_described_as_open(document):
    open_calls = {(method, path) for method, path, each in operations_of(document) if each.get("security") == []}
    assert open_calls == {("get", "/healthz"), ("get", "/readyz"), ("post", "/api/v1/token")}
    assert document["security"] == [{"bearer": []}, {"cookie": []}]


@pytest.mark.parametrize(("registration", "is_open"), [("open", True), ("closed", False)])
def test_registration_is_described_as_open_if_the_setting_says_so(app, registration, is_open):
    described = openapi_document(app, Catalogue(), Settings(registration=registration))
    assert ({} in described["paths"]["/api/v1/users"]["post"].get("security", [])) is is_open


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(ids) == len(set(ids))
