"""On whose behalf a command is run."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import click

from jobs.engine.accounts.accounts import ADMIN
from jobs.engine.accounts.audit import Act
from jobs.engine.accounts.users import User
from jobs.engine.errors import UserNotFound
from webapp.services import services


def note(action: str, *, subject: str | None, user_id: str | None = None) -> None:
    """Add what a command has done to the audit log.

    Args:
        action: the word that the log has for it.
        subject: the id of what it was done to.
        user_id: in whose name; None: the operator's own, who has none here.
    """
    where = f"terminal of {_operator()} on {socket.gethostname()}"
    services().audit.note(Act(action, user_id, where, HTTPStatus.OK, subject))


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name (OSError: from Python 3.13 on)
        return f"uid {os.getuid()}"


def as_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--as USER`. Whoever can reach the broker can do anything there: this is about names, not about rights."""
    return click.option("--as", "user_id", metavar="USER", default=ADMIN, show_default=True, help=text)


def acting_user(user_id: str) -> User:
    """The user of that name.

    Raises:
        UserNotFound
    """
    accounts = services().accounts
    try:
        return accounts.find(user_id)
    except UserNotFound:
        if user_id != ADMIN:
            raise UserNotFound(f"There is no user {user_id!r}; 'users list' lists them.") from None
    # Only if it is missing: this shell may not know the ADMIN_API_KEY that web has, and would replace it.
    accounts.ensure_admin()
    return accounts.find(user_id)
