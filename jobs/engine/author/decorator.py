"""`@job`: check the options that an author gives for a function, and keep them on the function."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from jobs.engine.errors import MAX_LATER_SECONDS, UnservableFunction
from jobs.engine.queue_names import MAX_NEEDS, NEED_FORM, is_need
from jobs.engine.states import Priority

from .limit import Limit
from .outside_a_job import JOB_CODE
from .retry import Retry
from .unique import Unique

F = TypeVar("F", bound=Callable[..., Any])

#: The attribute of a function in which `@job` keeps its options.
OPTIONS = "__workhorse_job__"

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 100
MAX_REUSE = 10_000

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class JobOptions:
    """The checked options of `@job(…)`; times in seconds."""

    name: str
    priority: Priority
    timeout: int
    stall_timeout: float | None
    retry: Retry | None
    max_running: int | None
    result_ttl: int | None
    preload: tuple[str, ...]
    #: Sorted, without repetitions.
    needs: tuple[str, ...]
    limits: tuple[Limit, ...]
    unique: Unique | None
    start_within: float | None
    reuse: int


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
    needs: Sequence[str] = (),
    limits: Sequence[Limit] = (),
    unique: Unique | None = None,
    start_within: float | None = None,
    reuse: int = 1,
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
    needs: Sequence[str] = (),
    limits: Sequence[Limit] = (),
    unique: Unique | None = None,
    start_within: float | None = None,
    reuse: int = 1,
) -> Any:
    """Put a function into the catalogue. The function is returned unchanged: a direct call just runs it.

    Args:
        name: the job type's name. By default it is the function's, with hyphens.
        priority: high, default or low, unless a submission says otherwise.
        timeout: seconds that one attempt may take.
        stall_timeout: seconds without progress after which an attempt fails.
        retry: which errors are tried again, and when.
        max_running: jobs of this type that may run at once, over all workers.
        result_ttl: seconds that a result is kept.
        preload: heavy modules that a worker imports once for all job types that name the same ones.
        needs: what a worker must be able to do to run these jobs: words that its `WORKER_CAN` lists.
        limits: how many of these jobs may run at once, or start in a period, for each value of some parameters.
        unique: of several equal jobs, only one is stored at a time.
        start_within: seconds in which a job must start, or else it is cancelled, unless a submission says otherwise.
        reuse: attempts that one process may serve, one after the other. They share the variables of all modules, even
            if they belong to different users.

    Raises:
        UnservableFunction: with the function, and the invalid option or the reason why it can't be a job.
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
            "needs": needs,
            "limits": limits,
            "unique": unique,
            "start_within": start_within,
            "reuse": reuse,
        }
        _refuse_bad_options(function, options)
        options |= {
            "priority": Priority(priority),
            "preload": tuple(preload),
            "needs": tuple(sorted(set(needs))),
            "limits": tuple(limits),
        }
        setattr(function, OPTIONS, JobOptions(**options))
        JOB_CODE.add(function.__code__)
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


def _is_needs(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) <= MAX_NEEDS and all(is_need(v) for v in value)


def _is_limits(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(v, Limit) for v in value)


#: Each option's check, and the form that it expects.
EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_name, "lower-case words joined by hyphens, as in 'make-thumbnails'"),
    "priority": (_is_priority, f"one of {', '.join(Priority)}"),
    "timeout": (_is_whole, "whole seconds, at least 1"),
    "stall_timeout": (lambda v: v is None or _is_seconds(v), "seconds, more than 0, or None"),
    "retry": (lambda v: v is None or isinstance(v, Retry), "a policy, as in retry=Retry(max=3), or None"),
    "max_running": (lambda v: v is None or _is_whole(v), "a whole number, at least 1, or None"),
    "result_ttl": (lambda v: v is None or _is_whole(v), "whole seconds, at least 1, or None"),
    "preload": (_is_modules, "a tuple of module names, as in preload=('sklearn',)"),
    "needs": (_is_needs, f"a tuple of at most {MAX_NEEDS} names, as in needs=('gpu',): each {NEED_FORM}"),
    "limits": (_is_limits, "a tuple of limits, as in limits=(Limit(running=2),)"),
    "unique": (lambda v: v is None or isinstance(v, Unique), "a rule, as in unique=Unique(by='url'), or None"),
    "start_within": (
        lambda v: v is None or (_is_seconds(v) and v <= MAX_LATER_SECONDS),
        f"seconds, more than 0 and at most {MAX_LATER_SECONDS:,}, or None",
    ),
    "reuse": (lambda v: _is_whole(v) and v <= MAX_REUSE, f"a whole number from 1 to {MAX_REUSE:,}"),
}


def _refuse_bad_options(function: Callable[..., Any], options: dict[str, Any]) -> None:
    for option, value in options.items():
        fits, expected = EXPECTED[option]
        if not fits(value):
            raise UnservableFunction(f"{full_name_of(function)}: @job({option}={value!r}): expected {expected}.")


def _refuse_unservable_kind(function: object) -> None:
    if not inspect.isfunction(function):
        raise UnservableFunction(
            f"@job is for plain functions, not for {function!r}; its options are named, as in @job(timeout=60)."
        )
    if why := _why_unservable(function):
        raise UnservableFunction(f"{full_name_of(function)} {why}.")


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


def full_name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
