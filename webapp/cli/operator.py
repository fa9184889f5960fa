"""The user on whose behalf a command runs, and the operator who runs it."""

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
from jobs.engine.accounts.user import User
from jobs.engine.errors import UserNotFound
from webapp.services import services


def note(action: str, *, subject: str | None, user_id: str | None = None) -> None:
    """Record what a command has done in the audit log.

    Args:
        action: the log's word for it.
        subject: the ID of the job, key or user that was changed.
        user_id: the user on whose behalf it was done; None: the operator, who is not a user.
    """
    where = f"terminal of {_operator()} on {socket.gethostname()}"
    services().audit.note(Act(action, user_id, where, HTTPStatus.OK, subject))


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name (OSError since Python 3.13)
        return f"uid {os.getuid()}"


def as_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option `--as USER`. It names an owner, not rights: an operator can do anything in the broker."""
    return click.option("--as", "user_id", metavar="USER", default=ADMIN, show_default=True, help=text)


def acting_user(user_id: str) -> User:
    """Find a user, and create the local admin if it is missing.

    Raises:
        UserNotFound
    """
    accounts = services().accounts
    try:
        return accounts.find(user_id)
    except UserNotFound:
        if user_id != ADMIN:
            raise UserNotFound(f"There is no user {user_id!r}; 'users list' shows all users.") from None
    # Only if it is missing: this shell may not have the web process's ADMIN_API_KEY and would replace that key.
    accounts.ensure_admin()
    return accounts.find(user_id)
