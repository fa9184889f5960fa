"""JSON bodies are read strictly."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from flask import Flask, jsonify
from pydantic import BaseModel
from werkzeug.test import TestResponse

from jobs.engine.errors import MalformedRequest
from webapp import body, problems
from webapp.services import EXTENSION, Services

LIMIT = 2_000


class Point(BaseModel):
    x: int
    labels: dict[str, int] = {}


@pytest.fixture
def reader(services: Services) -> Flask:
    """Make an app that returns the body it has read."""
    app = Flask("reader")
    app.extensions[EXTENSION] = services
    problems.install(app)
    app.add_url_rule("/value", "value", view_func=lambda: jsonify(body.json_value(LIMIT)), methods=["POST"])
    app.add_url_rule("/object", "object", view_func=lambda: jsonify(body.json_object()), methods=["POST"])
    app.add_url_rule("/model", "model", view_func=lambda: jsonify(body.model(Point).model_dump()), methods=["POST"])
    app.add_url_rule("/nothing", "nothing", view_func=_nothing, methods=["POST"])
    return app


def _nothing() -> str:
    body.no_body()
    return "nothing"


def send(reader: Flask, data: Any, path: str = "/value", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reader.test_client().post(path, data=data, headers={"Content-Type": "application/json"} | named)


class Endless(io.RawIOBase):
    """An endless chunked body, which counts the bytes that were read."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b"[" * len(buffer)
        self.taken += len(buffer)
        return len(buffer)


def send_chunked(reader: Flask, stream: Any) -> TestResponse:
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    headers = {"Content-Type": "application/json"}
    return reader.test_client().post("/value", headers=headers, environ_overrides=environ)


@pytest.mark.parametrize("value", [None, True, 0, -1.5, 10**300, "ü😀", [], {"a": [{"b": None}], "": 1}])
def test_a_json_body_is_read(reader, value):
    assert send(reader, json.dumps(value)).get_json() == value
    assert send(reader, json.dumps(value, ensure_ascii=False).encode()).get_json() == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"1 2",
        b"NaN",
        b"[-Infinity]",
        b"1e999",
        b"-1e999",
        b"9" * 309,
        b"\xff",
        b'"\xed\xa0\x80"',
        "\ufeff1".encode(),
        "1".encode("utf-16"),
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'"\x00"',
        b'"\n"',
        b"[" * 101 + b"]" * 101,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b"[" * 2_000,
    ],
)
def test_a_body_that_is_not_json_is_400(reader, data):
    answer = send(reader, data)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "malformed_request"), answer.text


def test_a_body_may_be_nested_up_to_the_limit(reader):
    assert send(reader, b"[" * body.MAX_DEPTH + b"]" * body.MAX_DEPTH).status_code == 200


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (r'"\u0000"', ""),
        (r'"\ud800"', ""),
        (r'["ok", "\udfff x"]', "/1"),
        (r'{"a/b": {"~": ["\ud83d"]}}', "/a~1b/~0/0"),
        (r'{"a": {"\u0000": 1}}', "/a"),
        (r'{"\ud800": "\u0000"}', ""),
    ],
)
def test_a_string_that_can_not_be_stored_is_422_with_a_pointer(reader, data, pointer):
    answer = send(reader, data)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == pointer
    assert answer.get_json()["errors"][0]["code"] == "unstorable_text"


def test_a_surrogate_pair_is_one_character(reader):
    assert send(reader, r'"\ud83d\ude00"').get_json() == "😀"


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_413(reader):
    fits = json.dumps("x" * (LIMIT - 2)).encode()
    assert len(fits) == LIMIT
    assert send(reader, fits).status_code == 200
    assert send(reader, fits + b" ").status_code == 413
    assert send_chunked(reader, io.BytesIO(fits)).status_code == 200
    assert send_chunked(reader, io.BytesIO(fits + b" ")).status_code == 413


def test_an_endless_body_is_refused_without_being_read(reader):
    endless = Endless()
    assert send_chunked(reader, endless).status_code == 413
    assert endless.taken <= 2 * LIMIT


def test_a_truncated_body_is_not_accepted(reader):
    environ = {"wsgi.input": io.BytesIO(b"{}"), "CONTENT_LENGTH": "30", "wsgi.input_terminated": True}
    headers = {"Content-Type": "application/json"}
    assert reader.test_client().post("/value", headers=headers, environ_overrides=environ).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": ""},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json; charset=latin-1"},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "identity, br"},
    ],
)
def test_another_content_type_or_encoding_is_415(reader, headers):
    answer = send(reader, b"{}", **headers)
    assert (answer.status_code, answer.get_json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "Application/JSON"])
def test_the_content_type_is_read_as_http_specifies(reader, kind):
    assert send(reader, b"{}", Content_Type=kind, Content_Encoding="identity").status_code == 200


@pytest.mark.parametrize("data", ["[]", "1", "null", '"x"'])
def test_a_body_that_is_not_an_object_is_422(reader, data):
    answer = send(reader, data, "/object")
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"pointer": "", "message": "send a JSON object", "code": "object_type"}]


def test_a_model_is_read_and_all_its_errors_are_reported(reader):
    assert send(reader, '{"x": 1}', "/model").get_json() == {"x": 1, "labels": {}}
    answer = send(reader, '{"x": "a", "y": 2, "labels": {"a/b": "c"}}', "/model")
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.get_json()["errors"]} == {"/x", "/y", "/labels/a~1b"}


def test_a_request_without_parameters_accepts_only_an_empty_body(reader):
    assert reader.test_client().post("/nothing").status_code == 200
    assert send(reader, b"{}", "/nothing").status_code == 200
    answer = send(reader, b'{"a": 1}', "/nothing")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/a"
    assert send(reader, b"x", "/nothing", Content_Type="text/plain").status_code == 415


def test_a_duplicate_key_among_many_is_refused(reader):
    many = ",".join(f'"k{n}":0' for n in range(100_000))
    with (
        reader.test_request_context("/", method="POST", data=f'{{{many},"k99999":1}}', content_type="application/json"),
        pytest.raises(MalformedRequest, match="k99999"),
    ):
        body.json_value(10_000_000)


def test_a_deletion_with_a_body_is_refused_and_deletes_nothing(alice, admin):
    made = {
        "jobs": alice.submits()["job_id"],
        "api-keys": alice.post("/api/v1/api-keys").get_json()["id"],
        "webhooks": alice.post(
            "/api/v1/webhooks", json={"url": "https://example.com/", "events": ["job_completed"]}
        ).get_json()["id"],
        "users": "me",
    }
    for kind, its_id in made.items():
        answer = alice.delete(f"/api/v1/{kind}/{its_id}", json={"func": "os.system"})
        assert answer.status_code == 422, kind
        assert answer.get_json()["errors"][0]["pointer"] == "/func"
    assert alice.get(f"/api/v1/jobs/{made['jobs']}").get_json()["status"] == "pending"
    for kind, its_id in made.items():
        assert alice.delete(f"/api/v1/{kind}/{its_id}").status_code in (200, 204), kind
