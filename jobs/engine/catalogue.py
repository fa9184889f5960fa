"""The catalogue: every function that may run as a job, found once at start-up."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar, overload

from .errors import ConfigurationError, JobTypeNotFound, UnservableFunction, WorkhorseError
from .parameters import Parameters, ResultType
from .retry import Retry
from .states import Priority

F = TypeVar("F", bound=Callable[..., Any])

#: Where `@job` leaves its options: on the function, which is returned as it was.
OPTIONS = "__workhorse_job__"

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 100

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class JobOptions:
    """What the author said in `@job(…)`, checked."""

    name: str
    priority: Priority
    timeout: int
    stall_timeout: float | None
    retry: Retry | None
    max_running: int | None
    result_ttl: int | None
    preload: tuple[str, ...]


@dataclass(frozen=True)
class JobType:
    """A function of the catalogue, with everything that is needed to check, run and describe it."""

    name: str
    function: Callable[..., Any] = field(repr=False)
    #: What RQ stores and a worker imports: `module.function`.
    func_name: str
    summary: str
    description: str
    priority: Priority
    #: Seconds that one attempt may take.
    timeout: int
    #: Seconds without progress after which an attempt fails; None: it may be silent.
    stall_timeout: float | None
    retry: Retry | None
    #: Seconds that a result is kept; None: as the setting RESULT_TTL says.
    result_ttl: int | None
    #: Jobs of this type that run at once, over all workers; None: no limit.
    max_running: int | None
    #: Modules that a worker imports before it forks.
    preload: tuple[str, ...]
    parameters: Parameters = field(repr=False)
    result: ResultType = field(repr=False)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> JobType:
        """Build the job type of a function decorated with `@job`.

        Raises:
            UnservableFunction: if its signature can't be served, or a worker could not import it.
        """
        options: JobOptions = getattr(function, OPTIONS)
        _refuse_unimportable(function)
        summary, _, description = inspect.cleandoc(function.__doc__ or "").partition("\n")
        return cls(
            name=options.name,
            function=function,
            func_name=_full_name(function),
            summary=summary.strip(),
            description=description.strip(),
            priority=options.priority,
            timeout=options.timeout,
            stall_timeout=options.stall_timeout,
            retry=options.retry,
            result_ttl=options.result_ttl,
            max_running=options.max_running,
            preload=options.preload,
            parameters=Parameters(function),
            result=ResultType(function),
        )

    @property
    def max_attempts(self) -> int:
        return 1 + (self.retry.max if self.retry else 0)

    def as_dict(self) -> dict[str, Any]:
        """What `GET /job-types/{job_type}` answers; times in seconds."""
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
        UnservableFunction: if two functions have the same job name.
    """

    def __init__(self, job_types: Iterable[JobType] = ()) -> None:
        self._by_name: dict[str, JobType] = {}
        for job_type in sorted(job_types, key=lambda job_type: (job_type.name, job_type.func_name)):
            if other := self._by_name.get(job_type.name):
                raise UnservableFunction(
                    f"{other.func_name} and {job_type.func_name} are both called '{job_type.name}'; "
                    "give one of them another name with @job(name=…)."
                )
            self._by_name[job_type.name] = job_type
        self._by_function = {job_type.func_name: job_type for job_type in self._by_name.values()}

    @classmethod
    def discover(cls, packages: Sequence[str]) -> Catalogue:
        """Import each package's direct modules and collect their `@job` functions.

        Subpackages are not searched. A function that several modules import counts once.

        Raises:
            UnservableFunction: naming the function, the parameter and the fix.
            ConfigurationError: naming a package or module that can't be imported.
        """
        functions: dict[int, Callable[..., Any]] = {}
        for package in packages:
            for module in _modules(package):
                functions |= {id(value): value for value in vars(module).values() if _is_job(value)}
        return cls(JobType.of(function) for function in functions.values())

    def find(self, name: str) -> JobType:
        """Look a job type up.

        Raises:
            JobTypeNotFound: with the nearest name there is.
        """
        try:
            return self._by_name[name]
        except KeyError:
            close = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], self._by_name, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "GET /api/v1/job-types lists them."
            raise JobTypeNotFound(f"There is no job type '{name[:MAX_NAME_CHARACTERS]}'; {hint}") from None

    def by_function(self, func_name: str) -> JobType | None:
        """The job type of the function that RQ knows as `func_name`."""
        return self._by_function.get(func_name)

    def __getitem__(self, name: str) -> JobType:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


# --- @job -----------------------------------------------------------------------------


@overload
def job(function: F, /) -> F: ...


@overload
def job(
    *,
    name: str | None = None,
    priority: str = "default",
    timeout: int = 600,
    stall_timeout: float | None = None,
    retry: Retry | None = None,
    max_running: int | None = None,
    result_ttl: int | None = None,
    preload: Sequence[str] = (),
) -> Callable[[F], F]: ...


def job(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    priority: str = "default",
    timeout: int = 600,
    stall_timeout: float | None = None,
    retry: Retry | None = None,
    max_running: int | None = None,
    result_ttl: int | None = None,
    preload: Sequence[str] = (),
) -> Any:
    """Put a function into the catalogue. It is returned unchanged: a direct call just runs it.

    `timeout`, `stall_timeout` and `result_ttl` are seconds; `max_running` caps this type over
    all workers; `preload` names heavy modules that a worker imports once, before it forks.

    Raises:
        UnservableFunction: naming the function and the option, or why it can't be a job.
    """

    def decorate(function: F) -> F:
        _refuse_unservable_kind(function)
        options: dict[str, Any] = {
            "name": name if name is not None else function.__name__.lower().replace("_", "-"),
            "priority": priority,
            "timeout": timeout,
            "stall_timeout": stall_timeout,
            "retry": retry,
            "max_running": max_running,
            "result_ttl": result_ttl,
            "preload": preload,
        }
        _refuse_bad_options(function, options)
        options |= {"priority": Priority(priority), "preload": tuple(preload)}
        setattr(function, OPTIONS, JobOptions(**options))
        return function

    return decorate if function is None else decorate(function)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS and bool(NAME.fullmatch(value))


def _is_priority(value: object) -> bool:
    return isinstance(value, str) and value in tuple(Priority)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_modules(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(v, str) and MODULE.fullmatch(v) for v in value)


#: Each option's check, and what to say when it fails.
EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_name, "lower-case words joined by hyphens, as in 'make-thumbnails'"),
    "priority": (_is_priority, f"one of {', '.join(Priority)}"),
    "timeout": (_is_whole, "whole seconds, at least 1"),
    "stall_timeout": (lambda v: v is None or _is_seconds(v), "seconds, more than 0, or None"),
    "retry": (lambda v: v is None or isinstance(v, Retry), "a policy, as in retry=Retry(max=3), or None"),
    "max_running": (lambda v: v is None or _is_whole(v), "a whole number, at least 1, or None"),
    "result_ttl": (lambda v: v is None or _is_whole(v), "whole seconds, at least 1, or None"),
    "preload": (_is_modules, "a tuple of module names, as in preload=('sklearn',)"),
}


def _refuse_bad_options(function: Callable[..., Any], options: dict[str, Any]) -> None:
    for option, value in options.items():
        fits, expected = EXPECTED[option]
        if not fits(value):
            raise UnservableFunction(f"{_full_name(function)}: @job({option}={value!r}): expected {expected}.")


def _refuse_unservable_kind(function: object) -> None:
    if not inspect.isfunction(function):
        raise UnservableFunction(
            f"@job is for plain functions, not for {function!r}; its options are named, as in @job(timeout=60)."
        )
    if why := _why_unservable(function):
        raise UnservableFunction(f"{_full_name(function)} {why}.")


def _why_unservable(function: Callable[..., Any]) -> str | None:
    if function.__name__ == "<lambda>":
        return "is a lambda, which has no name to import it by; write it with def"
    if "<locals>" in function.__qualname__:
        return "is defined inside a function, where a worker can't import it; move it to the module's top level"
    if "." in function.__qualname__:
        return "is a method; write a function at the module's top level that calls it"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is async; write a plain function, which may call asyncio.run(…)"
    if inspect.isgeneratorfunction(function):
        return "is a generator, which would run only when it is read; return a list, and report with progress(…)"
    return None


# --- discovery ------------------------------------------------------------------------


def _is_job(value: object) -> bool:
    return inspect.isfunction(value) and OPTIONS in vars(value)


def _full_name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _modules(package_name: str) -> Iterator[ModuleType]:
    """The package itself and its direct modules; a module that is no package stands for itself."""
    package = _import(package_name)
    yield package
    for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if not found.ispkg and found.name != "__main__":
            yield _import(f"{package_name}.{found.name}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UnservableFunction:
        raise  # names the function already
    except WorkhorseError as error:
        raise ConfigurationError(f"The module {name} of JOB_PACKAGES can't be imported: {error.message}") from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"The module {name} of JOB_PACKAGES can't be imported: {type(error).__name__}: {error}"
        ) from error


def _refuse_unimportable(function: Callable[..., Any]) -> None:
    """A worker imports the function by its name, and must find this one there."""
    if getattr(sys.modules.get(function.__module__), function.__name__, None) is not function:
        raise UnservableFunction(
            f"{_full_name(function)} is not what its module holds under that name; "
            "give each @job function a name of its own, and keep it."
        )
