"""A job type: a job function, with everything that is needed to check, run and describe it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jobs.engine.author.decorator import OPTIONS, JobOptions, full_name_of
from jobs.engine.author.retry import Retry
from jobs.engine.author.unique import Unique
from jobs.engine.errors import UnservableFunction, WorkhorseError
from jobs.engine.states import Priority

from .broker_use import BROKER_MODULE, may_use_broker
from .parameters import Parameters
from .result_type import ResultType
from .rules import Rules, limits_of


@dataclass(frozen=True)
class JobType:
    """A job function, with everything that is needed to check, run and describe it."""

    name: str
    function: Callable[..., Any] = field(repr=False)
    #: The name that RQ stores and a worker imports: `module.function`.
    func_name: str
    summary: str
    description: str
    priority: Priority
    #: The timeout of one attempt, in seconds.
    timeout: int
    #: The seconds without progress after which an attempt fails; None: no limit.
    stall_timeout: float | None
    retry: Retry | None
    #: The seconds that a result is kept; None: the value of RESULT_TTL.
    result_ttl: int | None
    #: The most jobs of this type that run at the same time, over all workers; None: no limit.
    max_running: int | None
    #: The modules that a worker imports before it forks: those that the author names.
    preload: tuple[str, ...]
    #: What a worker must be able to do to run its jobs; sorted.
    needs: tuple[str, ...]
    unique: Unique | None
    #: The seconds in which a job must start; None: no limit.
    start_within: float | None
    rules: Rules = field(repr=False)
    #: The attempts that one process may serve, one after the other.
    reuse: int
    parameters: Parameters = field(repr=False)
    result: ResultType = field(repr=False)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> JobType:
        """Build the job type of a function decorated with `@job`.

        Raises:
            UnservableFunction: its signature can't be served, or a worker can't import it.
        """
        options: JobOptions = getattr(function, OPTIONS)
        _refuse_unimportable(function)
        try:
            parameters, result = Parameters(function), ResultType(function)
            rules = Rules(function, options)
        except WorkhorseError:
            raise
        except Exception as error:
            # A custom type may raise any exception while pydantic builds its schema.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UnservableFunction(f"{full_name_of(function)}: its signature can't be served: {reason}") from error
        summary, _, description = inspect.cleandoc(function.__doc__ or "").partition("\n")
        return cls(
            name=options.name,
            function=function,
            func_name=full_name_of(function),
            summary=summary.strip(),
            description=description.strip(),
            priority=options.priority,
            timeout=options.timeout,
            stall_timeout=options.stall_timeout,
            retry=options.retry,
            result_ttl=options.result_ttl,
            max_running=rules.max_running,
            preload=options.preload,
            needs=options.needs,
            unique=options.unique,
            start_within=options.start_within,
            rules=rules,
            reuse=options.reuse,
            parameters=parameters,
            result=result,
        )

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """All modules that a worker imports before it forks a process for this job type."""
        return (*self.preload, BROKER_MODULE) if may_use_broker(self.function.__module__) else self.preload

    @property
    def max_attempts(self) -> int:
        """The first attempt and all retries."""
        return 1 + (self.retry.max if self.retry else 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the resource of `GET /job-types/{job_type}`. Times are in seconds."""
        return {
            "name": self.name,
            "summary": self.summary,
            "description": self.description,
            "params_schema": self.parameters.schema,
            "result_schema": self.result.schema,
            "priority": self.priority.value,
            "timeout": self.timeout,
            "stall_timeout": self.stall_timeout,
            "retry": self.retry.as_dict() if self.retry else None,
            "max_attempts": self.max_attempts,
            "max_running": self.max_running,
            "reuse": self.reuse,
            "result_ttl": self.result_ttl,
            "needs": list(self.needs),
            "limits": limits_of(self.rules.limits),
            "unique": self.unique.as_dict() if self.unique else None,
            "start_within": self.start_within,
        }


def _refuse_unimportable(function: Callable[..., Any]) -> None:
    """Check that a worker finds this function when it imports it by its name."""
    if getattr(sys.modules.get(function.__module__), function.__name__, None) is not function:
        raise UnservableFunction(
            f"{full_name_of(function)} is not the object that its module has under this name; "
            "give each @job function a unique name, and do not reassign it."
        )
