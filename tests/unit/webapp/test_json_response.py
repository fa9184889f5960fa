"""Responses in JSON, which leave out what Werkzeug does for other responses."""

from __future__ import annotations

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from webapp.json_response import json_response


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def client(ended: list[str]) -> FlaskClient:
    app = Flask(__name__)

    @app.get("/<path:place>")
    def show(place: str) -> Response:
        response = json_response({"city": "Zürich"}, 202)
        response.headers["Location"] = f"/{place}"
        if place == "closing":
            response.call_on_close(lambda: ended.append(place))
        return response

    return app.test_client()


def test_a_json_response_has_a_length_and_a_type(client: FlaskClient) -> None:
    response = client.get("/jobs/7f")
    assert (response.status, response.data) == ("202 ACCEPTED", '{"city":"Zürich"}\n'.encode())
    assert response.headers["Content-Length"] == str(len(response.data))
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Location"] == "/jobs/7f"


def test_a_head_request_gets_the_length_and_no_body(client: FlaskClient) -> None:
    response = client.head("/jobs/7f")
    assert (response.data, response.headers["Content-Length"]) == (b"", "19")


def test_a_location_is_encoded(client: FlaskClient) -> None:
    assert client.get("/jobs/Zürich 1").headers["Location"] == "/jobs/Z%C3%BCrich%201"


def test_a_function_that_waits_for_the_end_of_the_response_is_called(client: FlaskClient, ended: list[str]) -> None:
    client.get("/closing").close()
    assert ended == ["closing"]
