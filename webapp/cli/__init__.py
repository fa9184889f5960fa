"""The command line: `flask --app webapp jobs …`, `… users …` and `… keys …`. It talks to the broker, not over HTTP."""

from __future__ import annotations

from flask import Flask

from .job_commands import jobs
from .key_commands import keys
from .user_commands import users


def install(app: Flask) -> None:
    """Register the commands with `app`. The broker is contacted only when one of them runs."""
    for group in (jobs, users, keys):
        app.cli.add_command(group)
