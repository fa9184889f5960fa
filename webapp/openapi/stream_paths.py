"""Following jobs live: event streams, WebSockets and the tickets that open them."""

from __future__ import annotations

from typing import Any

from .job_paths import JOB_ID
from .operation import answer, header, json_body, operation, query
from .schemas import COUNT, JOB_EXAMPLE, TEXT, answered, taken

TICKET = query("ticket", TEXT, "From `POST /api/v1/tickets`, instead of a header or a cookie.")
LAST_EVENT_ID = header("Last-Event-ID", {"type": "string", "pattern": "^[0-9]*$"}, "The `id` that was seen last.")

_RESUMING = "`Last-Event-ID` resumes without loss or repeat; only superseded progress is ever skipped. "


def stream_paths() -> dict[str, Any]:
    """The paths of streams and tickets."""
    return {
        "/jobs/stream": {"get": _follow_all()},
        "/jobs/{job_id}/stream": {"get": _follow_job()},
        "/jobs/{job_id}/ws": {"get": _open_websocket()},
        "/tickets": {"post": _issue_ticket()},
    }


def _events(example: str) -> dict[str, Any]:
    return {
        "description": "Server-Sent Events. `data` of `update` and `complete` is the job resource.",
        "content": {"text/event-stream": {"schema": TEXT, "example": example}},
    }


def _follow_job() -> dict[str, Any]:
    example = f'id: 7\nevent: update\ndata: {{"job_id": "{JOB_EXAMPLE["job_id"]}", "status": "running", …}}\n\n'
    return operation(
        "follow-job",
        "Live",
        "Follow a job until it ends",
        {"200": _events(example), "204": {"description": "`Last-Event-ID` is its last version: it has ended."}},
        description="The current state comes first, then `update` for each version, and `complete` with the last one, "
        f"which ends the stream; `error` if the job is gone. `id` is the version. {_RESUMING}"
        "A comment comes every 15 s. When the server stops, the stream ends: connect again.",
        parameters=(
            JOB_ID,
            query(
                "logs",
                {"type": "string", "enum": ["true", "false"], "default": "false"},
                "Also `log` events, without `id`, from the oldest line that is kept; their `number` tells them apart.",
            ),
            TICKET,
            LAST_EVENT_ID,
        ),
        refused=(400, 403, 404),
    )


def _follow_all() -> dict[str, Any]:
    example = f'id: 1799066096000007\nevent: complete\ndata: {{"job_id": "{JOB_EXAMPLE["job_id"]}", …}}\n\n'
    return operation(
        "follow-jobs",
        "Live",
        "Follow all of my jobs",
        {"200": _events(example)},
        description="Begins with the jobs that have not ended; then `update` for each version of any job, and "
        "`complete` for its last one. `id` is a position in your own log of the newest 10,000 events, kept for a "
        f"day after the last one. {_RESUMING}For one that is too old `reset` comes, and then the current state anew.",
        parameters=(TICKET, LAST_EVENT_ID),
        refused=(400,),
    )


def _open_websocket() -> dict[str, Any]:
    return operation(
        "open-websocket",
        "Live",
        "Follow a job over a WebSocket",
        {"101": {"description": 'The messages of its stream, as JSON: `{"event": "update", "job": {…}}`.'}},
        description='Send `{"action": "cancel"}` to cancel the job. A page of another origin is refused.',
        parameters=(JOB_ID, TICKET),
        refused=(400, 403, 404),
    )


def _issue_ticket() -> dict[str, Any]:
    body = json_body(taken({"job_id": TEXT}, optional=("job_id",)), example={}, required=False)
    ticket = answered({"ticket": TEXT, "expires_in": COUNT})
    example = {"ticket": "0k2vT7rW…", "expires_in": 60}
    return operation(
        "issue-ticket",
        "Live",
        "Take a ticket for a stream",
        {"200": answer("To be used within `expires_in` seconds.", ticket, example=example)},
        description="For clients that can't send a header, such as EventSource and WebSocket in a browser. Good for "
        "one stream and its reconnects with `Last-Event-ID`, until that is complete or your credential is revoked.",
        body=body,
        refused=(400, 403, 404, 413, 415),
    )
