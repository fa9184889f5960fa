"""The caller's API keys: create a key, which is shown once, and revoke keys."""

from __future__ import annotations

from functools import partial

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.errors import Conflict
from webapp.auth import caller
from webapp.rate_limit import admit
from webapp.recording import creates
from webapp.services import services

from .blueprint import blueprint, done, page, refused

MAX_NAME_CHARACTERS = 100


@blueprint.get("/keys")
def keys() -> Response:
    admit()
    return _page()


@blueprint.post("/keys")
def create_key() -> Response:
    name = request.form.get("name", "").strip()
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        return _page(status=422, error=f"A name has at most {MAX_NAME_CHARACTERS} printable characters.")
    accounts, user_id = services().accounts, caller().user_id
    admit(partial(accounts.check_create_key, user_id))
    try:
        key, secret = accounts.create_key(user_id, name)
    except Conflict as error:
        return _page(status=409, error=error.message)
    creates(key.id)
    return _page(new=key.id, secret=secret)


@blueprint.post("/keys/<key_id>/revoke")
def revoke_key(key_id: str) -> Response:
    accounts, user_id = services().accounts, caller().user_id
    admit(partial(accounts.check_revoke, user_id, key_id))
    try:
        accounts.revoke(user_id, key_id)
    except Conflict as error:
        return refused(error.message, url_for("pages.keys"))
    return done("The key was revoked. It stops working within 5 seconds.", url_for("pages.keys"))


def _page(status: int = 200, *, new: str = "", secret: str = "", error: str = "") -> Response:
    found = services().accounts.keys(caller().user_id)
    return page("keys.html", status, keys=found, new=new, secret=secret, error=error, sent=request.form)
