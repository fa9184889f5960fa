"""Health, documentation, and the headers of every response."""

from __future__ import annotations

import re

import pytest

from webapp import create_app


def test_a_web_process_starts_and_runs_while_the_broker_is_down(settings):
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0", "job_packages": ()})
    browser = create_app(nowhere).test_client()
    assert browser.get("/healthz").get_json() == {"status": "ok"}
    assert browser.get("/readyz").status_code == 503
    assert browser.get("/api/v1/jobs", headers={"Authorization": "Bearer x"}).status_code == 503


def test_the_admin_is_created_by_the_first_request_that_reaches_the_broker(stranger, services, broker):
    key = services.settings.kept_secret("admin_api_key", lambda: "k" * 40)
    headers = {"Authorization": f"Bearer {key}"}
    broker.connected = False
    assert stranger.get("/api/v1/jobs", headers=headers).status_code == 503
    broker.connected = True
    assert stranger.get("/api/v1/jobs").status_code == 401
    assert services.accounts.find("admin").is_admin


def test_a_process_that_reaches_its_broker_is_ready(stranger):
    assert stranger.get("/readyz").get_json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/api/v1/nowhere", "/nowhere"])
def test_all_other_pages_need_a_credential(stranger, path):
    assert stranger.get(path).status_code == 401


def test_the_openapi_document_names_every_job_type(alice):
    document = alice.get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/jobs/echo" in document["paths"]
    assert alice.get("/openapi.json?x=1").status_code == 422


def test_the_docs_page_loads_nothing_from_elsewhere(alice):
    page = alice.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 4
    for source in sources:
        assert source.startswith("/static/") or source == "data:,"
        if source.startswith("/static/"):
            answer = alice.get(source)
            assert answer.status_code == 200
            assert answer.content_type.startswith("text/") and answer.content_type.endswith("charset=utf-8")


def test_the_docs_page_alone_may_style_itself(alice):
    policy = alice.get("/docs").headers["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy and "img-src 'self' data:" in policy
    assert "unsafe" not in alice.get("/openapi.json").headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/api/v1/jobs", "/static/docs.js", "/docs"])
def test_every_response_has_the_security_headers(alice, stranger, path):
    for answer in (alice.get(path), stranger.get(path, buffered=True)):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers
