"""Send the parts of a job's page as they change, until the job ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response, render_template, request, stream_with_context

from jobs.engine.client.job import Job
from jobs.engine.follow.message import Message
from webapp.event_stream import HEARTBEAT, event_stream
from webapp.live import IDLE_SECONDS, Live, last_event_id
from webapp.ownership import visible_job
from webapp.rate_limit import admit
from webapp.services import services

from .blocks import Block
from .blueprint import blueprint
from .job import View, view_of

#: A screen reader announces progress this many times.
SPOKEN_STEPS = 4


@blueprint.get("/jobs/<job_id>/live")
def job_live(job_id: str) -> Response:
    """Stream events for htmx: `state`, `progress`, `logs` (all so far), `log` (new lines), `say` and `done`."""
    job = visible_job(job_id)
    after = _after(job)
    admit()
    live = Live(lambda user: user.is_admin or user.user_id == job.user_id)
    news = services().follower.follow_job(job_id, after, live.inbox, logs=True, idle_seconds=IDLE_SECONDS)
    shown = _state(job) if after == job.version else None
    return event_stream(stream_with_context(_parts(live.follow(news), shown)))


def _after(job: Job) -> int | None:
    """Return the version that the page shows: of the last event, or of the page itself."""
    after = last_event_id()
    if after is None:
        text = request.args.get("after", "")
        after = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    return after if after is not None and after <= job.version and not job.status.terminal else None


def _parts(news: Iterator[Message | None], shown: tuple[Any, ...] | None) -> Iterator[str]:
    """Yield the events. `shown` is the state that the page shows; None if that is not known."""
    yield HEARTBEAT.decode()
    state = shown
    announced: tuple[Any, ...] | None = None
    logged = False
    for each in news:
        if each is None:
            yield HEARTBEAT.decode()
        elif each.event == "log":
            # A stream begins with the oldest line, so its first lines replace the ones shown.
            yield _event("log" if logged else "logs", _lines(each.lines))
            logged = True
        elif each.job is None:
            yield _event("done", "gone")
        else:
            before, state = state, _state(each.job)
            yield _event(*(_progress(each.job) if before == state else _whole(each.job)), number=each.id)
            if announced != (now := (state, int(each.job.progress * SPOKEN_STEPS / 100))):
                announced = now
                yield _event("say", render_template("_spoken.html", job=each.job))
            if each.event == "complete":
                yield _event("done", "")


def _state(job: Job) -> tuple[Any, ...]:
    return job.status, job.pending_reason, job.attempt, job.resumed


def _whole(job: Job) -> tuple[str, str]:
    return "state", render_template("_job_state.html", view=view_of(job), job=job)


def _progress(job: Job) -> tuple[str, str]:
    return "progress", render_template("_job_progress.html", view=View(job, [], Block("empty")), job=job)


def _lines(lines: Sequence[dict[str, Any]]) -> str:
    return render_template("_log_lines.html", lines=lines)


def _event(name: str, text: str, *, number: int | None = None) -> str:
    head = "" if number is None else f"id: {number}\n"
    data = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"{head}event: {name}\n{data}\n"
