"""The audit log, for administrators."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.accounts.audit import check_cursor

from .auth import require_admin
from .query import Moment, Whole, query
from .rate_limit import admit
from .recording import admin_reads
from .services import services

blueprint = Blueprint("audit", __name__, url_prefix="/api/v1/audit")

Word = Annotated[str, Field(min_length=1, max_length=256)]


class Filters(BaseModel):
    user_id: Word | None = None
    action: Word | None = None
    after: Moment | None = None
    before: Moment | None = None
    limit: Whole = Field(50, ge=1, le=200)
    cursor: Word | None = None


@blueprint.get("")
def page() -> Response:
    require_admin()
    filters = query(Filters)
    admit(partial(check_cursor, filters.cursor))
    admin_reads("audit")
    found = services().audit.page(**filters.model_dump())
    return jsonify(entries=[entry.as_dict() for entry in found.entries], next_cursor=found.next_cursor)
