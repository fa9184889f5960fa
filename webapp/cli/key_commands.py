"""`flask --app webapp keys …`: manage the API keys of users."""

from __future__ import annotations

from typing import Any

import click

from jobs.engine.accounts.api_keys import ApiKey
from jobs.engine.times import rfc3339
from webapp.services import services

from .exits import Commands
from .operator import acting_user, as_option, note
from .text import json_option, moment, print_json, table


@click.group(cls=Commands)
def keys() -> None:
    """Add, list and revoke API keys."""


@keys.command(with_appcontext=False)
@click.argument("username")
@click.option("--name", default="", help="Purpose of the key.")
@json_option
def add(username: str, name: str, as_json: bool) -> None:
    """Create an API key for a user and print it. It can't be shown again."""
    key, secret = services().accounts.create_key(acting_user(username).user_id, name)
    note("create-api-key", subject=key.id, user_id=key.user_id)
    print_json(_resource(key) | {"key": secret}) if as_json else click.echo(secret)


@keys.command("list", with_appcontext=False)
@as_option("Owner of the keys.")
@json_option
def list_keys(user_id: str, as_json: bool) -> None:
    """List a user's API keys, without their secrets."""
    found = services().accounts.keys(acting_user(user_id).user_id)
    if as_json:
        print_json({"api_keys": [_resource(key) for key in found]})
        return
    rows = [(key.id, moment(key.created_at), key.name) for key in found]
    click.echo(table(("KEY", "CREATED", "NAME"), rows) if rows else f"{user_id} has no API keys.")


@keys.command(with_appcontext=False)
@click.argument("username")
@click.argument("key_id")
@json_option
def revoke(username: str, key_id: str, as_json: bool) -> None:
    """Revoke an API key. It stops working within 5 seconds."""
    services().accounts.revoke(username, key_id)
    note("revoke-api-key", subject=key_id, user_id=username)
    print_json({"revoked": key_id}) if as_json else click.echo(f"Revoked {key_id}.")


def _resource(key: ApiKey) -> dict[str, Any]:
    return {"id": key.id, "user_id": key.user_id, "name": key.name, "created_at": rfc3339(key.created_at)}
