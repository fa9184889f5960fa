"""The body of a request that pauses something."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, field_validator

from jobs.engine.client.pauses import MAX_REASON_CHARACTERS

from .query import A_TIME, Moment


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
