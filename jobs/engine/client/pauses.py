"""A pause: since when, by whom, why, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from jobs.engine.errors import Fault, InvalidRequest
from jobs.engine.times import read_time, rfc3339

MAX_REASON_CHARACTERS = 500
#: Later ends could not be compared in every time zone.
LONGEST = timedelta(days=36_525)


@dataclass(frozen=True)
class Pause:
    """Since when, by whom and why something is paused."""

    at: Annotated[datetime, Field(description="Time of the pause.")]
    by: Annotated[str | None, Field(description="The user who paused it; null for an operator on the command line.")]
    reason: str | None
    until: Annotated[datetime | None, Field(description="Time at which it resumes by itself; null if it does not.")]

    @classmethod
    def read(cls, document: str) -> Pause:
        """Read a pause from JSON. Raises what `malformed.readable` catches."""
        fields = json.loads(document)
        until = fields["until"]
        return cls(read_time(fields["at"]), fields["by"], fields["reason"], read_time(until) if until else None)

    def as_json(self) -> str:
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, str | None]:
        """Return the pause as the HTTP API shows it."""
        until = rfc3339(self.until) if self.until else None
        return {"at": rfc3339(self.at), "by": self.by, "reason": self.reason, "until": until}

    def is_over(self, now: datetime) -> bool:
        return self.until is not None and self.until <= now

    def means_the_same_as(self, other: Pause) -> bool:
        """Return True if both have the same reason and the same end."""
        return (self.reason, self.until) == (other.reason, other.until)


def new_pause(now: datetime, by: str | None, reason: str | None, until: datetime | None) -> Pause:
    """Return a pause that begins now.

    Raises:
        InvalidRequest: `until` is not in the future, or more than a century away.
    """
    if until is not None and until <= now:
        raise InvalidRequest([Fault("this time has passed; expected a later one", "time_passed", pointer="/until")])
    if until is not None and until - now > LONGEST:
        raise InvalidRequest([Fault("expected a time within 100 years", "time_too_late", pointer="/until")])
    return Pause(now, by, reason, until.astimezone(UTC) if until else None)
