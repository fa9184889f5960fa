"""A limit of a job type: how many of its jobs run at the same time, or start in a period, by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PlainSerializer

from jobs.engine.errors import ConfigurationError
from jobs.engine.rates import A_RATE, read_rate

#: The name in `by` that stands for the owner of a job, unless the function has a parameter with this name.
USER = "user"


@dataclass(frozen=True)
class Limit:
    """Limit the jobs of a type on all workers together.

    Give `running` or `rate`. With `by`, each combination of the values of these parameters has a limit of its own.

    Raises:
        ConfigurationError: with the invalid value and the expected form.
    """

    running: Annotated[
        int | None, Field(ge=1, description="The most jobs that run at the same time; null if `rate` is the limit.")
    ] = None
    rate: Annotated[
        str | None,
        Field(
            description="The most executions that start in any period; null if `running` is the limit. Retries and "
            "resumed executions count.",
            examples=["60/minute"],
        ),
    ] = None
    #: A name or several. Stored as a tuple.
    by: Annotated[
        str | tuple[str, ...],
        PlainSerializer(tuple, return_type=tuple[str, ...]),
        Field(
            description="The parameters that make up the key; `user`: the owner. Each combination of their values has "
            "a limit of its own."
        ),
    ] = ()

    def __post_init__(self) -> None:
        if (self.running is None) == (self.rate is None):
            raise ConfigurationError(f"Limit({self}): expected either running or rate, as in Limit(running=2).")
        if self.running is not None and (type(self.running) is not int or self.running < 1):
            raise ConfigurationError(f"Limit({self}): expected a whole number for running, at least 1.")
        if self.rate is not None:
            self._check_rate(self.rate)
        object.__setattr__(self, "by", names_of(self.by, f"Limit({self})"))

    def _check_rate(self, rate: object) -> None:
        try:
            read_rate(rate if isinstance(rate, str) else "")
        except ValueError:
            raise ConfigurationError(f"Limit({self}): expected {A_RATE}.") from None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that make up the key."""
        return (self.by,) if isinstance(self.by, str) else self.by

    @property
    def count(self) -> int:
        return self.running if self.running is not None else read_rate(str(self.rate))[0]

    @property
    def period_seconds(self) -> int:
        """The period of a rate in seconds; 0: the limit counts running jobs."""
        return read_rate(self.rate)[1] if self.rate is not None else 0

    def __str__(self) -> str:
        given = {"running": self.running, "rate": self.rate, "by": self.by or None}
        return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)


def names_of(by: object, where: str) -> tuple[str, ...]:
    """Return the parameters in `by` as a tuple. `where` is the call that names them.

    Raises:
        ConfigurationError: it is not a name or several different names.
    """
    names = (by,) if isinstance(by, str) else tuple(by) if isinstance(by, (list, tuple)) else (by,)
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ConfigurationError(f'{where}: expected names of parameters for by, as in by=("region", "customer_id").')
    return tuple(str(name) for name in names)
