"""A job type: a job function, with everything that is needed to check, run and describe it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainSerializer, computed_field

from jobs.engine.author.decorator import OPTIONS, JobOptions, full_name_of
from jobs.engine.author.limit import Limit
from jobs.engine.author.retry import Retry, RetryPolicy
from jobs.engine.author.unique import Unique
from jobs.engine.errors import UnservableFunction, WorkhorseError
from jobs.engine.public_fields import Seconds, nested_fields
from jobs.engine.states import Priority

from .broker_use import BROKER_MODULE, may_use_broker
from .parameters import Parameters
from .result_type import ResultType
from .rules import Rules

#: For a field that clients don't see.
HIDDEN = Field(exclude=True)


@dataclass(frozen=True)
class JobType:
    """A function that runs as jobs, with its schemas, defaults and limits."""

    #: pydantic makes no schema of a hidden field's class.
    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    name: str
    function: Annotated[Callable[..., Any], HIDDEN] = field(repr=False)
    #: The name that RQ stores and a worker imports: `module.function`.
    func_name: Annotated[str, HIDDEN]
    summary: Annotated[str, Field(description="The first line of the function's docstring.")]
    description: Annotated[str, Field(description="The rest of the docstring.")]
    priority: Annotated[Priority, Field(description="The priority of a job that is submitted without one.")]
    timeout: Annotated[int, Field(ge=1, description="Seconds that one attempt may take.")]
    stall_timeout: Annotated[
        Seconds | None, Field(description="Seconds without progress after which an attempt fails; null: no limit.")
    ]
    retry: Annotated[
        Retry | None,
        PlainSerializer(lambda retry: retry and RetryPolicy.of(retry), return_type=RetryPolicy | None),
        Field(description="null: a failed attempt is not retried."),
    ]
    result_ttl: Annotated[
        Annotated[int, Field(ge=0)] | None,
        Field(description="Seconds for which a result is kept; null: the server's default."),
    ]
    max_running: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(description="Jobs of this type that may run at the same time; null: no limit."),
    ]
    #: The modules that a worker imports before it forks: those that the author names.
    preload: Annotated[tuple[str, ...], HIDDEN]
    needs: Annotated[tuple[str, ...], Field(description="What a worker must be able to do, sorted.")]
    unique: Annotated[Unique | None, Field(description="null: equal jobs are allowed.")]
    start_within: Annotated[
        Seconds | None,
        Field(description="Seconds in which a job must start, or else it is cancelled; null: no limit."),
    ]
    rules: Annotated[Rules, HIDDEN] = field(repr=False)
    reuse: Annotated[
        int,
        Field(
            ge=1,
            description="Attempts that one process may serve, one after the other. They share the variables of "
            "modules, even if they belong to different users.",
        ),
    ]
    parameters: Annotated[Parameters, HIDDEN] = field(repr=False)
    result: Annotated[ResultType, HIDDEN] = field(repr=False)

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

    @computed_field(description="The first attempt and all retries.")  # type: ignore[prop-decorator]
    @property
    def max_attempts(self) -> Annotated[int, Field(ge=1)]:
        return 1 + (self.retry.max if self.retry else 0)

    @computed_field(description="The JSON Schema 2020-12 of the body to submit.")  # type: ignore[prop-decorator]
    @property
    def params_schema(self) -> dict[str, Any]:
        return self.parameters.schema

    @computed_field(description="The JSON Schema 2020-12 of the result.")  # type: ignore[prop-decorator]
    @property
    def result_schema(self) -> dict[str, Any]:
        return self.result.schema

    @computed_field(description="All limits. `max_running` is among them.")  # type: ignore[prop-decorator]
    @property
    def limits(self) -> tuple[Limit, ...]:
        return self.rules.limits

    def as_dict(self) -> dict[str, Any]:
        """Return the resource of `GET /job-types/{job_type}`, without the pause. Times are in seconds."""
        return self._fields.copy()

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return nested_fields(self)


def _refuse_unimportable(function: Callable[..., Any]) -> None:
    """Check that a worker finds this function when it imports it by its name."""
    if getattr(sys.modules.get(function.__module__), function.__name__, None) is not function:
        raise UnservableFunction(
            f"{full_name_of(function)} is not the object that its module has under this name; "
            "give each @job function a unique name, and do not reassign it."
        )
