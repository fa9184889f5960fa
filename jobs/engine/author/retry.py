"""The retry policy of a job type: which errors are tried again, when and how often."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from jobs.engine.errors import ConfigurationError, Fatal
from jobs.engine.public_fields import Seconds

Backoff = Literal["exponential", "linear", "constant"]
BACKOFFS: tuple[Backoff, ...] = get_args(Backoff)

#: With jitter, a delay is between this share of its length and the whole, so that jobs which failed together are
#: retried at different times.
SHORTEST_SHARE = 0.5

#: The largest exponent of a delay: every delay has reached its limit long before, and 2.0**1024 overflows.
HIGHEST_EXPONENT = 1000


@dataclass(frozen=True)
class Retry:
    """Try a failed job again, up to `max` times.

    Raises:
        ConfigurationError: with the invalid value and the expected form.
    """

    #: Attempts after the first one.
    max: int
    backoff: Backoff = "exponential"
    #: Seconds before the second attempt.
    delay: float = 1
    #: The longest delay in seconds.
    max_delay: float = 3600
    jitter: bool = True
    #: Errors that are tried again, their subclasses included.
    on: tuple[type[BaseException], ...] = (Exception,)
    #: Errors that are never tried again, even if `on` covers them.
    never: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        _expect(_is_whole(self.max) and self.max >= 0, "max", self.max, "a whole number, 0 or more")
        _expect(self.backoff in BACKOFFS, "backoff", self.backoff, f"one of {', '.join(BACKOFFS)}")
        for name in ("delay", "max_delay"):
            _expect(_is_seconds(getattr(self, name)), name, getattr(self, name), "seconds, 0 or more")
        _expect(isinstance(self.jitter, bool), "jitter", self.jitter, "True or False")
        for name in ("on", "never"):
            _expect(_is_errors(getattr(self, name)), name, getattr(self, name), f"a tuple, as in {name}=(OSError,)")

    def applies_to(self, error: BaseException) -> bool:
        """Return True if the policy covers `error`. It never covers `Fatal`."""
        return isinstance(error, self.on) and not isinstance(error, (Fatal, *self.never))

    def seconds_before(self, attempt: int) -> float:
        """Return the seconds to wait after `attempt` failed attempts (1: after the first)."""
        seconds = min(self.delay * self._growth(attempt), self.max_delay)
        return seconds * random.uniform(SHORTEST_SHARE, 1) if self.jitter else seconds

    def _growth(self, attempt: int) -> float:
        if self.backoff == "exponential":
            return 2.0 ** min(max(attempt - 1, 0), HIGHEST_EXPONENT)
        return float(max(attempt, 1)) if self.backoff == "linear" else 1.0


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is retried. Times are in seconds."""

    max_retries: Annotated[int, Field(ge=0, description="Attempts after the first one.")]
    backoff: Annotated[Backoff, Field(description="How the delay grows from one attempt to the next.")]
    delay: Annotated[Seconds, Field(description="Seconds before the second attempt.")]
    max_delay: Annotated[Seconds, Field(description="The longest delay in seconds.")]
    jitter: Annotated[bool, Field(description="Whether each delay is shortened at random, to at least half of it.")]
    on: Annotated[list[str], Field(description="The errors that are retried.")]
    never: Annotated[list[str], Field(description="The errors that are not.")]

    @classmethod
    def of(cls, retry: Retry) -> RetryPolicy:
        return cls(
            max_retries=retry.max,
            backoff=retry.backoff,
            delay=retry.delay,
            max_delay=retry.max_delay,
            jitter=retry.jitter,
            on=[error.__name__ for error in retry.on],
            never=[error.__name__ for error in retry.never],
        )


def _expect(fits: bool, name: str, value: object, expected: str) -> None:
    if not fits:
        raise ConfigurationError(f"Retry({name}={value!r}): expected {expected}.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_errors(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(kind, type) and issubclass(kind, BaseException) for kind in value
    )
