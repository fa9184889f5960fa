"""The audit log, for administrators."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from jobs.engine.accounts.audit import Act, check_cursor

from .auth import require_admin
from .openapi.components import component, page_of, schemas_of
from .openapi.describing import described
from .openapi.operation import returns
from .openapi.schemas import TEXT, TIME, Later, returned
from .query import WHOLE_NUMBER, Moment, query
from .rate_limit import admit
from .recording import admin_reads
from .services import services

blueprint = Blueprint("audit", __name__, url_prefix="/api/v1/audit")

Word = Annotated[str, Field(min_length=1, max_length=256)]


class Filters(BaseModel):
    user_id: Annotated[Word | None, Field(description="Only what this user did.")] = None
    action: Annotated[Word | None, Field(description="Only this action.")] = None
    after: Annotated[Moment | None, Field(description="Only later entries.")] = None
    before: Annotated[Moment | None, Field(description="Only earlier entries.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Entries on one page."), WHOLE_NUMBER] = 50
    cursor: Annotated[Word | None, Field(description="The `next_cursor` of the page before.")] = None


_ACT = Later(lambda: schemas_of(Act)["Act"])
_ENTRY = component("AuditEntry", {"allOf": [returned({"id": TEXT, "at": TIME}), _ACT]})


@blueprint.get("")
@described(
    "list-audit",
    "Operations",
    "List who did what, when and from where",
    {
        "200": returns(
            "Newest first. A filtered page may be short and still have a next one.",
            page_of("AuditPage", "entries", _ENTRY),
        )
    },
    description="For administrators. The newest 100,000 entries are kept.",
    query=Filters,
    refused=(403,),
)
def page() -> Response:
    require_admin()
    filters = query(Filters)
    admit(partial(check_cursor, filters.cursor))
    admin_reads("audit")
    found = services().audit.page(**filters.model_dump())
    return jsonify(entries=[entry.as_dict() for entry in found.entries], next_cursor=found.next_cursor)
