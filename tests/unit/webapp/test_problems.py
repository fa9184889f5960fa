"""Every error becomes a problem document that reveals no secrets."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterator

import pytest
from flask import Flask, abort

import jobs.engine
from jobs.engine import errors
from jobs.engine.errors import Fault, InvalidRequest, WorkhorseError
from webapp import problems

#: Errors of start-up or of an attempt, which no request causes. Their messages are not shown.
INSIDE = {
    "address_refused",
    "broker_not_found",
    "cannot_start",
    "configuration",
    "fatal",
    "fetch_failed",
    "internal_error",
    "response_too_large",
    "reference_unresolved",
    "refused",
    "result_invalid",
    "result_too_large",
    "retry_later",
    "timeout",
    "unservable_function",
}

MEMBERS = {"type", "title", "status", "detail", "instance", "code"}


def every_error(kind: type[WorkhorseError] = WorkhorseError) -> Iterator[type[WorkhorseError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from every_error(each)


@pytest.fixture(scope="module", autouse=True)
def _all_modules_are_known():
    for module in pkgutil.walk_packages(jobs.engine.__path__, "jobs.engine."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@pytest.fixture
def bare() -> Flask:
    """Make an app that only has error handlers."""
    app = Flask("bare")
    problems.install(app)
    return app


def made(kind: type[WorkhorseError]) -> WorkhorseError:
    if issubclass(kind, InvalidRequest):
        return kind([Fault("is wrong", "wrong", pointer="/a~1b")])
    return kind(1.0) if kind is errors.RetryLater else kind()


def test_every_error_has_a_status_and_only_internal_ones_are_500():
    for kind in every_error():
        assert (problems.status_of(kind) == 500) == (kind.code in INSIDE), kind


def test_every_error_becomes_a_problem_document(bare):
    with bare.test_request_context("/x"):
        for kind in every_error():
            if kind.__module__ != errors.__name__:
                continue  # private to a module; some take more arguments than a message
            answer = problems.of_error(made(kind))
            document = answer.get_json()
            assert answer.content_type == "application/problem+json"
            assert document.keys() >= MEMBERS
            assert document["status"] == answer.status_code
            assert document["code"] == ("internal_error" if kind.code in INSIDE else kind.code)
            assert (answer.status_code == 422) == ("errors" in document), kind


def test_no_two_errors_share_a_code():
    # A job's own subclass of Fatal may share its code.
    kinds = [kind for kind in dict.fromkeys(every_error()) if kind.__module__ == errors.__name__]
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_error_has_a_pointer_or_a_parameter(bare):
    faults = [Fault("is wrong", "wrong", pointer="/a"), Fault("is odd", "odd", parameter="limit")]
    with bare.test_request_context("/x"):
        document = problems.of_error(InvalidRequest(faults)).get_json()
    assert document["errors"] == [
        {"pointer": "/a", "message": "is wrong", "code": "wrong"},
        {"parameter": "limit", "message": "is odd", "code": "odd"},
    ]


@pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (0.2, "1"), (1.1, "2"), (30, "30")])
def test_retry_after_is_a_whole_number_of_at_least_one_second(bare, seconds, header):
    with bare.test_request_context("/x"):
        assert problems.of_error(errors.RateLimited(retry_after=seconds)).headers["Retry-After"] == header


def test_an_unauthenticated_caller_learns_how_to_authenticate(bare):
    with bare.test_request_context("/x"):
        assert problems.of_error(errors.Unauthenticated()).headers["WWW-Authenticate"] == "Bearer"


def test_the_instance_is_the_encoded_address(bare):
    with bare.test_request_context("/jobs/a%20%22b?secret=1"):
        assert problems.of_error(errors.NotFound()).get_json()["instance"] == "/jobs/a%20%22b"


@pytest.mark.parametrize("error", [ZeroDivisionError("/etc/passwd hunter2"), errors.Fatal("/etc/passwd hunter2")])
def test_an_unexpected_error_shows_only_its_reference(bare, caplog, error):
    bare.add_url_rule("/surprise", view_func=lambda: (_ for _ in ()).throw(error))
    with caplog.at_level(logging.ERROR):
        answer = bare.test_client().get("/surprise")
    assert answer.status_code == 500
    assert answer.get_json()["code"] == "internal_error"
    assert "hunter2" not in answer.text and "Traceback" not in answer.text
    reference = answer.get_json()["detail"].split()[-1].rstrip(".")
    assert reference in caplog.text and "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "malformed_request"),
        (404, "not_found"),
        (408, "request_timeout"),
        (413, "payload_too_large"),
        (415, "unsupported_media_type"),
        (418, "i_m_a_teapot"),
        (500, "internal_error"),
    ],
)
def test_errors_of_the_framework_are_problem_documents(bare, status, code):
    bare.add_url_rule("/refused", view_func=lambda: abort(status))
    answer = bare.test_client().get("/refused")
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"


def test_a_wrong_method_lists_the_allowed_ones(alice):
    answer = alice("PATCH", "/api/v1/jobs")
    assert (answer.status_code, answer.get_json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))


def test_a_broker_that_is_away_is_503_with_retry_after(alice, broker, stranger):
    broker.connected = False
    for answer in (alice.get("/api/v1/jobs"), alice.post("/api/v1/jobs/noop", json={}), stranger.get("/readyz")):
        assert (answer.status_code, answer.get_json()["code"]) == (503, "broker_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert stranger.get("/healthz").status_code == 200
