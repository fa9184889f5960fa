"""The conditions that choose the jobs of a bulk action. They have the names of the filters of `GET /jobs`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from jobs.engine.states import Status

#: The owner that stands for all owners.
EVERYONE = "*"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH, _MICROSECOND = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)
#: Only these have an error.
_WITH_ERROR = (Status.FAILED, Status.CANCELLED)


def _written_as_rfc3339(value: Any) -> Any:
    # pydantic alone would also accept a number, and a number in a string.
    if isinstance(value, datetime) or value is None or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    raise ValueError("expected an RFC 3339 time with a zone, for example 2030-01-31T12:00:00Z")


def _with_a_word(text: str) -> str:
    if text.isspace():
        # The code of a pattern, which pydantic would report with the regular expression.
        raise PydanticCustomError("string_pattern_mismatch", "contains only white space; expected at least one word")
    return text


Word = Annotated[str, Field(min_length=1, max_length=256)]
Words = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra={"pattern": r"\S"}),
    AfterValidator(_with_a_word),
]
Moment = Annotated[AwareDatetime, BeforeValidator(_written_as_rfc3339)]


class JobFilter(BaseModel):
    """Chooses jobs. All conditions that are set must hold, and at least one must be set."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"error_type": "timeout"}]})

    user_id: Annotated[
        Word | None, Field(description="The owner, for administrators; `*` for all. By default the caller.")
    ] = None
    status: Annotated[Status | None, Field(description="Only jobs in this status.")] = None
    job_type: Annotated[Word | None, Field(description="Only jobs of this type.")] = None
    tag: Annotated[Word | None, Field(description="Only jobs with this tag.")] = None
    error_type: Annotated[Word | None, Field(description="Only jobs that ended with this `error_type`.")] = None
    error: Annotated[
        Words | None, Field(description="Only jobs whose error contains each of these words, in any order.")
    ] = None
    created_after: Annotated[Moment | None, Field(description="Only jobs submitted later.")] = None
    created_before: Annotated[Moment | None, Field(description="Only jobs submitted earlier.")] = None

    @model_validator(mode="after")
    def _not_empty(self) -> JobFilter:
        if not self.conditions():
            raise ValueError("set at least one condition, such as status or created_before")
        return self

    def conditions(self) -> dict[str, str]:
        """Return the conditions that are set, as text."""
        set_ones = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in set_ones.items()
            if value is not None
        }

    def for_script(self) -> dict[str, Any]:
        """Return the conditions as bulk.lua reads them."""
        conditions: dict[str, Any] = {
            "statuses": self._statuses(),
            "status": self.status,
            "job_type": self.job_type,
            "tag": self.tag,
            "error_type": self.error_type,
            "words": self.error.split() if self.error else None,
            "lowest": f"({micros(self.created_after)}" if self.created_after else None,
        }
        # Left out instead of null: Lua takes cjson's null for true.
        return {name: value for name, value in conditions.items() if value is not None}

    def highest(self, began_at: datetime) -> str:
        """Return the highest score of the jobs that were submitted before the bulk action and match."""
        before = self.created_before
        return f"({micros(before)}" if before and before <= began_at else str(micros(began_at))

    def _statuses(self) -> list[str]:
        """Return the statuses whose indexes hold all jobs that can match."""
        if self.status:
            return [self.status]
        return [*(_WITH_ERROR if self.error or self.error_type else Status)]


def micros(moment: datetime) -> int:
    """Return the score of a job that was submitted at this moment: microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND
