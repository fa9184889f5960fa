"""Server-Sent Events: one job until it ends, or all of the caller's jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal
from weakref import WeakKeyDictionary

from flask import Blueprint, Response
from pydantic import BaseModel

from jobs.engine.follow.message import Message

from .auth import caller
from .event_stream import HEARTBEAT, event_stream
from .live import IDLE_SECONDS, Live, last_event_id
from .ownership import visible_job
from .query import query
from .rate_limit import admit
from .services import services

blueprint = Blueprint("streams", __name__, url_prefix="/api/v1")

#: Each message is written out once for all who are sent it.
_written: WeakKeyDictionary[Message, bytes] = WeakKeyDictionary()


class JobOptions(BaseModel):
    logs: Literal["true", "false"] = "false"
    #: Read at the door.
    ticket: str | None = None


class UserOptions(BaseModel):
    ticket: str | None = None


@blueprint.get("/jobs/<job_id>/stream")
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
    news = services().follower.follow_job(
        job_id, after, live.inbox, logs=options.logs == "true", idle_seconds=IDLE_SECONDS
    )
    return event_stream(_lines(live.follow(news)))


@blueprint.get("/jobs/stream")
def follow_all() -> Response:
    query(UserOptions)
    after = last_event_id()
    admit()
    user_id = caller().user_id
    live = Live(lambda user: user.user_id == user_id)
    news = services().follower.follow_user(user_id, after, live.inbox, idle_seconds=IDLE_SECONDS)
    return event_stream(_lines(live.follow(news)))


def _lines(news: Iterator[Message | None]) -> Iterator[bytes]:
    yield HEARTBEAT  # at once, so that a client which has missed nothing sees that it is connected
    for each in news:
        yield HEARTBEAT if each is None else _text(each)


def _text(news: Message) -> bytes:
    text = _written.get(news)
    if text is None:
        text = _written[news] = "".join(_events(news)).encode()
    return text


def _events(news: Message) -> Iterator[str]:
    head = "" if news.id is None else f"id: {news.id}\n"
    if news.event == "position":
        yield f"{head}\n"  # no event: it only sets where to resume
    elif news.event == "log":
        for line in news.lines:
            yield f"event: log\ndata: {json.dumps(line)}\n\n"
    else:
        data = news.resource if news.job is not None else json.dumps(news.error or {})
        yield f"{head}event: {news.event}\ndata: {data}\n\n"
