"""The audit log, for administrators: who did what, when, and from where."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from flask import request, url_for
from werkzeug.wrappers import Response

from jobs.engine.accounts.audit import check_cursor
from webapp.auth import require_admin
from webapp.rate_limit import admit
from webapp.recording import ACTIONS, ADMIN_READ, REPAIR, SET_PASSWORD, admin_reads
from webapp.services import services

from .blueprint import blueprint, page

FILTERS = ("user_id", "action")


@blueprint.get("/audit")
def audit_log() -> Response:
    require_admin()
    cursor = request.args.get("cursor") or None
    admit(partial(check_cursor, cursor))
    admin_reads("audit")
    given = {name: request.args.get(name, "").strip()[:256] for name in FILTERS}
    chosen = {name: text for name, text in given.items() if text}
    found = services().audit.page(user_id=given["user_id"] or None, action=given["action"] or None, cursor=cursor)
    older = f"{url_for('pages.audit_log')}?{urlencode(chosen | {'cursor': found.next_cursor or ''})}"
    actions = sorted({*ACTIONS.values(), ADMIN_READ, SET_PASSWORD, REPAIR})
    return page(
        "audit.html", entries=found.entries, older=older if found.next_cursor else None, given=given, actions=actions
    )
