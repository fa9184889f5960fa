"""The real app on a broker in memory, and its users."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fakeredis
from flask import Flask
from flask.testing import FlaskClient

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.author.decorator import job
from jobs.engine.author.file_parameters import File
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.client import Client
from jobs.engine.client.job import Job
from jobs.engine.client.submission import Submission
from jobs.engine.follow.follower import Follower
from jobs.engine.settings import Settings
from tests.imitation import ImitatedRedis
from webapp.application import make_app
from webapp.dashboard_records import TolerantRedis
from webapp.services import Services

PASSWORD = "correct horse"
ADMIN_KEY = "the key of the admin"


@job
def reverse_text(text: str) -> str:
    """Reverse a text."""
    return text[::-1]


@job
def send_welcome_email(username: str, email: str) -> None:
    """Welcome a new user."""


@job
def count_lines(file: File, more: list[File] = [], width: int = 80) -> int:  # noqa: B006 (it is not changed)
    """Count the lines of files."""
    return sum(each.path.read_text().count("\n") for each in (file, *more))


#: Made once for each function: its schemas take longer than most tests.
_job_type = cache(JobType.of)


class DashboardRedis(TolerantRedis, ImitatedRedis):
    """The dashboard's own connection to the broker in memory."""


@dataclass
class Door:
    data_dir: Path
    settings: dict[str, Any] = field(default_factory=dict)
    #: Job functions besides those above.
    functions: tuple[Callable[..., Any], ...] = ()

    def __post_init__(self) -> None:
        given: dict[str, Any] = {
            "data_dir": self.data_dir,
            "secret_key": "s" * 32,
            "admin_api_key": ADMIN_KEY,
        } | self.settings
        settings = Settings(**given)
        self.server = fakeredis.FakeServer()
        self.connection = ImitatedRedis(server=self.server, protocol=2)
        functions: list[Callable[..., Any]] = [reverse_text, send_welcome_email, count_lines, *self.functions]
        catalogue = Catalogue(map(_job_type, functions))
        self.accounts = Accounts(self.connection, settings)
        self.client = Client(self.connection, settings, catalogue)
        self.app: Flask = make_app(Services(settings, catalogue, self.client, self.accounts, Follower(self.client)))
        self.app.redis_conn = DashboardRedis(server=self.server, protocol=2)  # type: ignore[attr-defined]  # rq-dashboard's
        self.accounts.ensure_admin()

    def register(self, name: str = "alice") -> str:
        return self.accounts.register(name, f"{name}@example.com", PASSWORD).user_id

    def bearer(self, name: str = "alice") -> dict[str, str]:
        """Return the header of a user, who is registered if necessary."""
        if name == "admin":
            return {"Authorization": f"Bearer {ADMIN_KEY}"}
        if not self.connection.exists(f"wh:user:{name}"):
            self.register(name)
        return {"Authorization": f"Bearer {self.accounts.create_key(name, '')[1]}"}

    def anybody(self) -> FlaskClient:
        return self.app.test_client()

    def browser(self, name: str = "alice") -> Browser:
        """Make a browser in which a user has signed in."""
        if name != "admin" and not self.connection.exists(f"wh:user:{name}"):
            self.register(name)
        client = self.app.test_client()
        answer = client.get(f"/sign-in?token={self.accounts.sign_in.issue_link(name)}")
        assert answer.status_code == 303
        return Browser(client)

    def submit(self, user_id: str = "alice", text: str = "hello", **options: Any) -> Job:
        job_type = self.client.catalogue["reverse-text"]
        submission = Submission(job_type=job_type, params={"text": text}, user_id=user_id, **options)
        return self.client.submit(submission).job


@dataclass
class Browser:
    client: FlaskClient

    @property
    def csrf_token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get("/").text)
        assert found
        return found[1]
