"""The audit log."""

from __future__ import annotations

from typing import Any

from .operation import answer, operation, query, ref
from .schemas import TEXT, TIME, answered, listed, nullable

ENTRY = answered(
    {
        "id": TEXT,
        "at": TIME,
        "action": TEXT | {"description": "What was done, as in `sign-in`, `submit-job`, `cancel-job`, `admin-read`."},
        "user_id": nullable(TEXT) | {"description": "Who did it, or under which name somebody tried to sign in."},
        "address": nullable(TEXT) | {"description": "From where."},
        "status": {"type": "integer", "description": "The HTTP status that it was answered with."},
        "subject": nullable(TEXT) | {"description": "What it was done to."},
    }
)

AUDIT_SCHEMAS = {"AuditEntry": ENTRY, "AuditPage": listed("entries", "AuditEntry")}


def audit_paths() -> dict[str, Any]:
    """The path of the audit log."""
    return {"/audit": {"get": _list()}}


def _list() -> dict[str, Any]:
    return operation(
        "list-audit",
        "Operations",
        "Who did what, when, from where",
        {"200": answer("Newest first. With a filter a page may be short and still have a next one.", ref("AuditPage"))},
        description="For admins. The newest 100,000 entries are kept.",
        parameters=(
            query("user_id", TEXT, "Only what this user did."),
            query("action", TEXT, "Only this."),
            query("after", TIME, "Only later entries."),
            query("before", TIME, "Only earlier entries."),
            query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Entries on one page."),
            query("cursor", TEXT, "`next_cursor` of the page before."),
        ),
        refused=(403,),
    )
