"""The command line: `flask --app webapp jobs …`, `… users …` and `… keys …`, against the broker and not over HTTP."""

from __future__ import annotations

from flask import Flask

from .job_commands import jobs
from .key_commands import keys
from .user_commands import users


def install(app: Flask) -> None:
    """Give `app` its commands. Nothing is asked of the broker before one of them runs."""
    for group in (jobs, users, keys):
        app.cli.add_command(group)
