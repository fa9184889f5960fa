"""Malicious requests, and malformed ones that were once handled wrongly."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from hashlib import sha256
from itertools import product
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.unit.webapp.conftest import Person
from webapp.services import Services

#: The size limit for requests of strangers.
MAX_FORM_BYTES = 8_192

FORM = "application/x-www-form-urlencoded"
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

#: Strings in an address in place of an id.
ODD_IDS = [
    "{job}:dependents",
    "{job}%00",
    "{job}%20",
    "%ff%fe",
    "%0d%0aX:%20y",
    "..%2f..",
    "*",
    "a:b",
    "%F0%9F%98%80",
    "x" * 3_000,
]


@pytest.fixture
def chunked(stranger: FlaskClient) -> Callable[[str, bytes], Any]:
    """Send a form without its length, as gunicorn passes a chunked body on."""

    def send(path: str, form: bytes) -> Any:
        environment = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        return stranger.post(
            path, input_stream=io.BytesIO(form), content_type=FORM, environ_overrides=environment, buffered=True
        )

    return send


@pytest.mark.parametrize("path", ["/api/v1/token", "/sign-in"])
def test_a_chunked_form_over_the_limit_is_refused_instead_of_truncated(
    chunked: Callable[[str, bytes], Any], path: str
) -> None:
    assert chunked(path, b"username=alice&password=wrong").status_code == 401
    assert chunked(path, b"username=alice&password=" + b"x" * MAX_FORM_BYTES).status_code == 413


@pytest.mark.parametrize(
    "change",
    [{"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Version": "x"}, {"Upgrade": "h2c"}, {"Connection": "close"}],
)
def test_an_invalid_websocket_handshake_is_a_client_error(alice: Person, change: dict[str, str]) -> None:
    address = f"/api/v1/jobs/{alice.submits()['job_id']}/ws"
    ours, theirs = socket.socketpair()

    with ours, theirs:
        answer = alice.get(address, headers=HANDSHAKE | change, environ_overrides={"werkzeug.socket": ours})

    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("place", ["jobs", "batches", "pipelines", "schedules", "files", "job-types", "webhooks"])
def test_an_invalid_id_is_not_found_or_forbidden(alice: Person, place: str) -> None:
    job = alice.submits()

    for method, odd_id in product(("GET", "DELETE"), ODD_IDS):
        answer = alice(method, f"/api/v1/{place}/{odd_id.format(job=job['job_id'])}")
        assert answer.status_code in (404, 405), f"{method} {odd_id[:40]}"
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "url", ["http://example.com:99999/", "http://example.com:0/", "http://example.com:65536", "https://example.com:1e3"]
)
def test_an_address_with_a_port_out_of_range_is_refused(alice: Person, url: str) -> None:
    answer = alice.post("/api/v1/webhooks", json={"url": url, "events": ["job_completed"]})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "fields",
    [
        {"due": "1e300", "status": "scheduled"},
        {"due": "nan", "status": "scheduled"},
        {"version": "x", "attempt": "x", "attempts": "x", "resumed": "x", "number": "x"},
        {"meta": "[1]", "tags": "{"},
        {"meta": '{"progress": "x", "eta_seconds": "x", "reported_at": []}', "status": "started"},
        {"created_at": "yesterday", "started_at": "x", "ended_at": "x", "expires": "never", "status": "failed"},
        {"reason": "whim", "status": "deferred"},
        {"status": "weird"},
        {"data": b"\x80\x04K\x01."},
        {"data": b'["f", null, [1], "x"]'},
        {"error": b"\xff", "error_type": b"\xff", "type": b"\xff", "status": "failed"},
    ],
)
def test_a_malformed_record_does_not_hide_other_jobs(alice: Person, services: Services, fields: dict[str, Any]) -> None:
    malformed, good = alice.submits(), alice.submits()
    services.client.store.connection.hset(f"rq:job:{malformed['job_id']}", mapping=fields)  # type: ignore[arg-type]

    assert alice.get(f"/api/v1/jobs/{malformed['job_id']}").status_code == 200
    listed = alice.get("/api/v1/jobs")
    assert listed.status_code == 200
    assert good["job_id"] in [job["job_id"] for job in listed.get_json()["jobs"]]


def test_a_result_and_a_trace_in_an_unknown_format_are_left_out(alice: Person, services: Services) -> None:
    job_id = alice.submits()["job_id"]
    connection = services.client.store.connection
    connection.hset(f"rq:job:{job_id}", "status", "finished")
    connection.xadd(f"rq:results:{job_id}", {"return_value": b"gASVBQ==", "exc_string": b"gASVBQ=="})

    answer = alice.get(f"/api/v1/jobs/{job_id}")

    assert (answer.status_code, answer.get_json()["result"]) == (200, None)


@pytest.mark.parametrize(
    "part", [b"\r", b"\n", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--BOUNDAR", b"\r\n--BOUNDARX", b"\r\n\r\n"]
)
def test_a_file_that_contains_its_boundary_is_stored_unchanged(alice: Person, part: bytes) -> None:
    sent = part * (1_000_000 // len(part))
    head = b'--BOUNDARY\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'

    answer = alice.post(
        "/api/v1/files",
        data=head + sent + b"\r\n--BOUNDARY--\r\n",
        content_type="multipart/form-data; boundary=BOUNDARY",
    )

    assert answer.status_code == 201, answer.text
    assert answer.get_json()["sha256"] == sha256(sent).hexdigest()
