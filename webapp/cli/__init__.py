"""The command line, such as `flask --app webapp jobs …`. It talks to the broker, not over HTTP."""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup

#: The groups of commands, and the modules that have them.
_MODULES = {
    "jobs": "job_commands",
    "schedules": "schedule_commands",
    "users": "user_commands",
    "keys": "key_commands",
}


class _OnDemand(AppGroup):
    """Imports a group of commands when it is asked for: a web process never asks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_MODULES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        group: click.Command = getattr(import_module(f"{__name__}.{_MODULES[cmd_name]}"), cmd_name)
        return group


def install(app: Flask) -> None:
    """Register the commands with `app`. The broker is contacted only when one of them runs."""
    app.cli = _OnDemand(app.name)
