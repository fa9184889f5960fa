"""Unique jobs: of several equal jobs of a type, only one is stored at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from jobs.engine.errors import MAX_LATER_SECONDS, ConfigurationError
from jobs.engine.public_fields import Seconds

from .limit import names_of

UNTIL = ("end", "start")
CONFLICTS = ("return", "reject", "replace")


@dataclass(frozen=True)
class Unique:
    """Store a job only if its owner has no equal job of this type.

    Raises:
        ConfigurationError: with the invalid value and the expected form.
    """

    #: A name or several. Stored as a tuple, or None.
    by: Annotated[
        str | tuple[str, ...] | None,
        PlainSerializer(lambda by: by, return_type=tuple[str, ...] | None),
        Field(
            description="The parameters that make up the key; `user`: the owner. null: all parameters. Empty: none, so "
            "that each owner has one job."
        ),
    ] = None
    until: Annotated[
        Literal["end", "start"],
        Field(
            description="When the key is free again. `end`: when the job has ended, however it ends. `start`: when it "
            "first starts."
        ),
    ] = "end"
    ttl: Annotated[
        Seconds | None, Field(description="Seconds after which the key is free in any case; null: no limit.")
    ] = None
    on_conflict: Annotated[
        Literal["return", "reject", "replace"],
        Field(
            description="What an equal submission gets. `return`: the job that exists. `reject`: a refusal. `replace`: "
            "the job that exists, with the newer parameters."
        ),
    ] = "return"

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


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.001 <= value <= MAX_LATER_SECONDS
