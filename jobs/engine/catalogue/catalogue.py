"""The catalogue: all functions that can run as jobs, found once at start-up."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from jobs.engine.author.decorator import MAX_NAME_CHARACTERS, OPTIONS, JobOptions, full_name_of
from jobs.engine.author.retry import Retry
from jobs.engine.errors import ConfigurationError, JobTypeNotFound, UnservableFunction, WorkhorseError
from jobs.engine.states import Priority

from .parameters import Parameters
from .result_type import ResultType

F = TypeVar("F", bound=Callable[..., Any])


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
    #: The modules that a worker imports before it forks.
    preload: tuple[str, ...]
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
            max_running=options.max_running,
            preload=options.preload,
            parameters=parameters,
            result=result,
        )

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
            "result_ttl": self.result_ttl,
        }


class Catalogue(Mapping[str, JobType]):
    """The job types by name, in alphabetical order.

    Raises:
        UnservableFunction: two functions have the same job name.
    """

    def __init__(self, job_types: Iterable[JobType] = ()) -> None:
        self._by_name: dict[str, JobType] = {}
        for job_type in sorted(job_types, key=lambda job_type: (job_type.name, job_type.func_name)):
            if other := self._by_name.get(job_type.name):
                raise UnservableFunction(
                    f"{other.func_name} and {job_type.func_name} have the same job name, '{job_type.name}'; "
                    "give one of them another name with @job(name=…)."
                )
            self._by_name[job_type.name] = job_type
        self._by_function = {job_type.func_name: job_type for job_type in self._by_name.values()}

    @classmethod
    def discover(cls, packages: Sequence[str]) -> Catalogue:
        """Import each package's direct modules and collect their `@job` functions.

        Subpackages are not searched. A function that several modules import counts once.

        Raises:
            UnservableFunction: a function can't be served; the message names the parameter and the fix.
            ConfigurationError: a package or a module can't be imported.
        """
        functions: dict[int, Callable[..., Any]] = {}
        for package in packages:
            for module in _modules(package):
                functions |= {id(value): value for value in vars(module).values() if _is_job(value)}
        return cls(JobType.of(function) for function in functions.values())

    def find(self, name: str) -> JobType:
        """Return a job type.

        Raises:
            JobTypeNotFound: there is no such job type; the message suggests a similar name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            close = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], self._by_name, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "GET /api/v1/job-types lists them."
            raise JobTypeNotFound(f"The job type '{name[:MAX_NAME_CHARACTERS]}' does not exist; {hint}") from None

    def by_function(self, func_name: str) -> JobType | None:
        """Return the job type of the function that RQ stores as `func_name`, or None."""
        return self._by_function.get(func_name)

    def __getitem__(self, name: str) -> JobType:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


# --- discovery ------------------------------------------------------------------------


def _is_job(value: object) -> bool:
    return inspect.isfunction(value) and OPTIONS in vars(value)


def _modules(package_name: str) -> Iterator[ModuleType]:
    """Yield a package and its direct modules, or a module that is not a package."""
    package = _import(package_name)
    yield package
    for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if not found.ispkg and found.name != "__main__":
            yield _import(f"{package_name}.{found.name}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UnservableFunction:
        raise  # its message names the function
    except WorkhorseError as error:
        raise ConfigurationError(f"The module {name} of JOB_PACKAGES can't be imported: {error.message}") from error
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            f"The module {name} of JOB_PACKAGES can't be imported{_place(name, error)}: {reason}"
        ) from error


def _place(module_name: str, error: BaseException) -> str:
    """Return the line of the module that raised an error, as in ' (line 3)'; '' if it raised none itself."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_globals.get("__name__") == module_name]
    return f" (line {lines[-1]})" if lines else ""


def _refuse_unimportable(function: Callable[..., Any]) -> None:
    """Check that a worker finds this function when it imports it by its name."""
    if getattr(sys.modules.get(function.__module__), function.__name__, None) is not function:
        raise UnservableFunction(
            f"{full_name_of(function)} is not the object that its module has under this name; "
            "give each @job function a unique name, and do not reassign it."
        )
