"""Requests that pause and resume something: a queue, a job type or a schedule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, field_validator

from jobs.engine.client.pauses import MAX_REASON_CHARACTERS

from . import body
from .auth import caller
from .query import A_TIME, Moment, Nothing, query
from .rate_limit import admit

Paused = TypeVar("Paused")


def _in_json(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"expected {A_TIME}")
    return value


class NewPause(BaseModel):
    reason: Annotated[str | None, Field(max_length=MAX_REASON_CHARACTERS, description="Shown beside the pause.")] = None
    until: Annotated[
        Moment | None, BeforeValidator(_in_json), Field(description="Time at which it resumes by itself.")
    ] = None

    @field_validator("reason")
    @classmethod
    def _none_if_blank(cls, value: str | None) -> str | None:
        return (value or "").strip() or None


PAUSE_EXAMPLE = {"reason": "Waiting for the new price list", "until": "2030-02-01T06:00:00Z"}


def pause_in_body() -> NewPause:
    """Read a pause from the body of the request, and check that it has no parameters.

    Raises:
        InvalidRequest, and what `body.json_object` raises.
    """
    new = body.optional_model(NewPause)
    query(Nothing)
    return new


def pause_as_sent(
    new: NewPause,
    check_until: Callable[[datetime | None], None],
    pause: Callable[[str, str | None, datetime | None], Paused],
) -> Paused:
    """Pause something for the caller, for this reason and until this time.

    Raises:
        RateLimited, and what `check_until` and `pause` raise.
    """
    admit(partial(check_until, new.until))
    return pause(caller().user_id, new.reason, new.until)


def resume_as_sent(resume: Callable[[], Paused]) -> Paused:
    """Check that the request has no parameters, and resume something.

    Raises:
        InvalidRequest, RateLimited, and what `resume` raises.
    """
    body.no_body()
    query(Nothing)
    admit()
    return resume()
