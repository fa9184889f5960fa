"""`flask --app webapp users …`: manage users."""

from __future__ import annotations

from typing import Any

import click

from jobs.engine.accounts.user import ADMIN_ROLE, USER_ROLE, User
from jobs.engine.times import rfc3339
from webapp.recording import SET_PASSWORD
from webapp.services import services
from webapp.users import remove_with_everything

from .exits import Commands
from .operator import note
from .text import json_option, moment, print_json, table

_password = click.option(
    "--password",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    envvar="WORKHORSE_PASSWORD",
    help="Default: the variable WORKHORSE_PASSWORD, or a prompt.",
)


@click.group(cls=Commands)
def users() -> None:
    """Add, list and remove users."""


@users.command(with_appcontext=False)
@click.argument("username")
@click.argument("email")
@_password
@click.option("--admin", is_flag=True, help="Allow access to all users' jobs, the audit log and the dashboard.")
@json_option
def add(username: str, email: str, password: str, admin: bool, as_json: bool) -> None:
    """Add a user. No welcome e-mail is sent."""
    roles = (ADMIN_ROLE, USER_ROLE) if admin else (USER_ROLE,)
    user = services().accounts.register(username, email, password, roles)
    note("create-user", subject=user.user_id)
    print_json(_resource(user)) if as_json else click.echo(
        f"Added {user.user_id}. To create an API key: keys add {user.user_id}"
    )


@users.command("list", with_appcontext=False)
@json_option
def list_users(as_json: bool) -> None:
    """List all users."""
    found = services().accounts.all()
    if as_json:
        print_json({"users": [_resource(user) for user in found]})
        return
    rows = [
        (each.user_id, ", ".join(each.roles), moment(each.created_at), moment(each.last_request_at), each.email)
        for each in found
    ]
    click.echo(table(("USER", "ROLES", "CREATED", "LAST REQUEST", "E-MAIL"), rows) if rows else "There are no users.")


@users.command(with_appcontext=False)
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def delete(username: str, yes: bool, as_json: bool) -> None:
    """Remove a user with all keys, schedules, files and jobs. Running jobs are cancelled."""
    user = services().accounts.find(username)
    if not yes:
        click.confirm(f"Remove {user.user_id} with all keys, schedules, files and jobs?", abort=True, err=True)
    remove_with_everything(user.user_id)
    note("delete-user", subject=user.user_id)
    print_json({"deleted": user.user_id}) if as_json else click.echo(f"Removed {user.user_id}.")


@users.command(with_appcontext=False)
@click.argument("username")
@_password
@json_option
def password(username: str, password: str, as_json: bool) -> None:
    """Set a user's password. Tokens and sessions end; API keys stay valid."""
    user = services().accounts.set_password(username, password)
    note(SET_PASSWORD, subject=user.user_id)
    print_json(_resource(user)) if as_json else click.echo(f"{user.user_id} has a new password.")


def _resource(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "email": user.email,
        "roles": list(user.roles),
        "created_at": rfc3339(user.created_at),
        "request_count": user.request_count,
        "last_request_at": rfc3339(user.last_request_at) if user.last_request_at else None,
    }
