"""Server-Sent Events: one job until it ends, or all of the caller's jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal
from weakref import WeakKeyDictionary

from flask import Blueprint, Response
from pydantic import Field

from jobs.engine.follow.message import Message

from .auth import caller
from .event_stream import HEARTBEAT, event_stream
from .live import IDLE_SECONDS, Live, WithTicket, last_event_id
from .openapi.describing import described
from .openapi.job_schema import JOB_EXAMPLE
from .openapi.operation import empty_response
from .openapi.schemas import TEXT, Schema
from .openapi.shared_headers import LAST_EVENT_ID
from .ownership import visible_job
from .query import query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("streams", __name__, url_prefix="/api/v1")

#: Each message is serialised once for all of its recipients.
_written: WeakKeyDictionary[Message, bytes] = WeakKeyDictionary()


class JobOptions(WithTicket):
    logs: Annotated[
        Literal["true", "false"],
        Field(
            description="Send `log` events, too, from the oldest line that is kept. They have no `id`; their `number` "
            "tells them apart."
        ),
    ] = "false"


_RESUMING = "`Last-Event-ID` resumes without loss or repeat: only superseded progress is skipped."
_ABOUT = "Server-Sent Events. The `data` of `update` and `complete` is the job resource."


def _events_response(example: str) -> Schema:
    return {"description": _ABOUT, "content": {"text/event-stream": {"schema": TEXT, "example": example}}}


@blueprint.get("/jobs/<job_id>/stream")
@described(
    "follow-job",
    "Live",
    "Follow a job until it ends",
    {
        "200": _events_response(
            f'id: 7\nevent: update\ndata: {{"job_id": "{JOB_EXAMPLE["job_id"]}", "status": "running", …}}\n\n'
        ),
        "204": empty_response("`Last-Event-ID` is the last version: the job has ended."),
    },
    description="The current state comes first, then `update` for each version, and `complete` with the last one, "
    f"which ends the stream; `error` if the job is gone. `id` is the version. {_RESUMING} A comment is sent every "
    "15 s. The stream ends when the server stops: connect again.",
    query=JobOptions,
    headers=(LAST_EVENT_ID,),
    refused=(400, 403, 404),
)
def follow_job(job_id: str) -> Response:
    job = visible_job(job_id)
    options = query(JobOptions)
    after = last_event_id()
    admit()
    if after is not None and after >= job.version:
        if job.status.terminal:
            return Response(status=204)
        after = after if after == job.version else None
    live = Live(lambda user: user.is_admin or user.user_id == job.user_id)
    messages = services().follower.follow_job(
        job_id, after, live.inbox, logs=options.logs == "true", idle_seconds=IDLE_SECONDS
    )
    return event_stream(_lines(live.follow(messages)))


@blueprint.get("/jobs/stream")
@described(
    "follow-jobs",
    "Live",
    "Follow all of my jobs",
    {
        "200": _events_response(
            f'id: 1799066096000007\nevent: complete\ndata: {{"job_id": "{JOB_EXAMPLE["job_id"]}", …}}\n\n'
        )
    },
    description="The unfinished jobs come first, then `update` for each version of any job, and `complete` for its "
    "last one. `id` is a position in your own log of the newest 10,000 events, which is kept for a day after the last "
    f"event. {_RESUMING} If the position is too old, `reset` is sent, and then the current state.",
    query=WithTicket,
    headers=(LAST_EVENT_ID,),
    refused=(400,),
)
def follow_all() -> Response:
    query(WithTicket)
    after = last_event_id()
    admit()
    user_id = caller().user_id
    live = Live(lambda user: user.user_id == user_id)
    messages = services().follower.follow_user(user_id, after, live.inbox, idle_seconds=IDLE_SECONDS)
    return event_stream(_lines(live.follow(messages)))


def _lines(messages: Iterator[Message | None]) -> Iterator[bytes]:
    yield HEARTBEAT  # at once, so that a client without news sees that it is connected
    for each in messages:
        yield HEARTBEAT if each is None else _text(each)


def _text(message: Message) -> bytes:
    text = _written.get(message)
    if text is None:
        text = _written[message] = "".join(_events(message)).encode()
    return text


def _events(message: Message) -> Iterator[str]:
    head = "" if message.id is None else f"id: {message.id}\n"
    if message.event == "position":
        yield f"{head}\n"  # no event: it only sets the position to resume from
    elif message.event == "log":
        for line in message.lines:
            yield f"event: log\ndata: {json.dumps(line)}\n\n"
    else:
        data = message.resource if message.job is not None else json.dumps(message.error or {})
        yield f"{head}event: {message.event}\ndata: {data}\n\n"
