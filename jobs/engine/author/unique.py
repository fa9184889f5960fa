"""Unique jobs: of several equal jobs of a type, only one is stored at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jobs.engine.errors import MAX_LATER_SECONDS, ConfigurationError

from .limit import names_of

UNTIL = ("end", "start")
CONFLICTS = ("return", "reject", "replace")


@dataclass(frozen=True)
class Unique:
    """Store a job only if its owner has no equal job of this type.

    Raises:
        ConfigurationError: with the invalid value and the expected form.
    """

    #: The parameters that make jobs equal; None: all of them; (): none, so that there is one job for each owner.
    by: str | tuple[str, ...] | None = None
    #: "end": until the job has ended, however it ends. "start": until its first start.
    until: Literal["end", "start"] = "end"
    #: The seconds after which the key is free in any case; None: no limit.
    ttl: float | None = None
    #: What an equal submission gets: the job that exists, a refusal, or that job with the newer parameters.
    on_conflict: Literal["return", "reject", "replace"] = "return"

    def __post_init__(self) -> None:
        if self.until not in UNTIL:
            raise ConfigurationError(f"Unique(until={self.until!r}): expected one of {', '.join(UNTIL)}.")
        if self.on_conflict not in CONFLICTS:
            raise ConfigurationError(
                f"Unique(on_conflict={self.on_conflict!r}): expected one of {', '.join(CONFLICTS)}."
            )
        if self.ttl is not None and not _is_seconds(self.ttl):
            expected = f"expected seconds, from 0.001 to {MAX_LATER_SECONDS:,}, or None"
            raise ConfigurationError(f"Unique(ttl={self.ttl!r}): {expected}.")
        if self.by is not None:
            object.__setattr__(self, "by", names_of(self.by, f"Unique(by={self.by!r})"))

    @property
    def names(self) -> tuple[str, ...] | None:
        """The parameters that make up the key; None: all of them."""
        return (self.by,) if isinstance(self.by, str) else self.by

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as clients see it."""
        by = None if self.names is None else list(self.names)
        return {"by": by, "until": self.until, "ttl": self.ttl, "on_conflict": self.on_conflict}


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.001 <= value <= MAX_LATER_SECONDS
