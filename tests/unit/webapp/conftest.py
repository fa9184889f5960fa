"""The whole app on an imitation of the broker, and three users who call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.client import Client
from jobs.engine.follow.follower import Follower
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis
from tests.unit.webapp.compiled_once import rules_compiled_once, templates_compiled_once
from webapp.application import make_app
from webapp.services import Services

#: Small, so that tests exceed it.
MAX_PARAMS_BYTES = 20_000

HASHED_ONCE = cache(PasswordHasher.hash)


class Person:
    """A user with an API key."""

    def __init__(self, app: Flask, user_id: str, key: str) -> None:
        self.user_id = user_id
        self._client: FlaskClient = app.test_client()
        self._authorization = f"Bearer {key}"

    def __call__(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": self._authorization, **options.pop("headers", {})}
        # Buffered: a response from a file would keep it open.
        return self._client.open(path, method=method, headers=headers, buffered=True, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self("POST", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self("DELETE", path, **options)

    def submits(self, job_type: str = "noop", params: Any = None, **options: Any) -> dict[str, Any]:
        """Submit a job, and return it."""
        answer = self.post(f"/api/v1/jobs/{job_type}", json=params or {}, **options)
        assert answer.status_code == 202, answer.text
        resource: dict[str, Any] = answer.get_json()
        return resource


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Do once in a test process what takes most of the time of making an app."""
    with rules_compiled_once(), templates_compiled_once():
        yield


@pytest.fixture(autouse=True)
def passwords_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash each password once in a test process. Tests of other packages need the salt of each hash."""
    monkeypatch.setattr(PasswordHasher, "hash", HASHED_ONCE)


@pytest.fixture
def broker() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Make the settings of a test. `@pytest.mark.settings(name=value)` changes some of them."""
    marker = request.node.get_closest_marker("settings")
    changed: dict[str, Any] = marker.kwargs if marker else {}
    values: dict[str, Any] = {"data_dir": tmp_path, "secret_key": "s" * 32, "max_params_bytes": MAX_PARAMS_BYTES}
    return Settings(**(values | changed))


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    # Made once: its schemas take longer than most tests.
    return Catalogue.discover(["tests.jobs_for_tests"])


@pytest.fixture
def services(broker: fakeredis.FakeServer, settings: Settings, catalogue: Catalogue) -> Services:
    connection = ImitatedRedis(server=broker, protocol=2)
    client = Client(connection, settings, catalogue)
    return Services(settings, catalogue, client, Accounts(connection, settings), Follower(client))


@pytest.fixture
def app(services: Services) -> Flask:
    return make_app(services)


@pytest.fixture
def registered(app: Flask, services: Services) -> Callable[[str], Person]:
    def register(name: str) -> Person:
        services.accounts.register(name, f"{name}@example.com", "correct horse")
        return Person(app, name, services.accounts.create_key(name, "test")[1])

    return register


@pytest.fixture
def alice(registered: Callable[[str], Person]) -> Person:
    return registered("alice")


@pytest.fixture
def bob(registered: Callable[[str], Person]) -> Person:
    return registered("bob")


@pytest.fixture
def admin(app: Flask, services: Services) -> Person:
    return Person(app, "admin", services.accounts.ensure_admin())


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """Make a client without credentials."""
    return app.test_client()
