"""On whose behalf a command is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from jobs.engine.accounts import ADMIN, User
from jobs.engine.errors import UserNotFound
from webapp.services import services


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
