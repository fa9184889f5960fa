"""How every error becomes a sentence and an exit code: the one place that knows an error's exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from flask import has_app_context
from flask.cli import AppGroup, ScriptInfo

from jobs.engine import errors
from jobs.engine.errors import InvalidRequest, WorkhorseError
from jobs.engine.settings import Settings
from webapp.services import services

from .text import printable

FINE, NOT_FINE, USAGE, UNREACHABLE, NOT_FOUND, REFUSED = range(6)
#: What a shell makes of Ctrl-C.
INTERRUPTED = 130

#: A class stands for its subclasses, too. What is not named here has gone wrong inside.
CODES: dict[type[WorkhorseError], int] = {
    errors.ConfigurationError: USAGE,
    errors.UnservableFunction: USAGE,
    errors.InvalidRequest: USAGE,
    errors.BrokerUnavailable: UNREACHABLE,
    errors.NotFound: NOT_FOUND,
    errors.Forbidden: REFUSED,
    errors.Unauthenticated: REFUSED,
    errors.Conflict: REFUSED,
    errors.PayloadTooLarge: REFUSED,
    errors.TryAgainLater: REFUSED,
    WorkhorseError: NOT_FINE,
}

EXIT_CODES = """\
\b
Exit codes:
  0  fine
  1  the job failed or was cancelled; the check or the doctor found something
  2  wrong usage, parameters or settings
  3  the broker can't be reached
  4  there is no such job, job type, user or key
  5  refused: it can't be done in this state, or a limit is reached
"""


class Refusal(click.ClickException):
    """What ends a command, as sentences on stderr."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it of the instance

    @classmethod
    def of(cls, error: WorkhorseError, settings: Settings | None = None) -> Refusal:
        message = error.message
        if isinstance(error, InvalidRequest):
            message = "\n".join(f"{_place(each)}: {each.message}" for each in error.faults)
        if isinstance(error, errors.BrokerUnavailable) and settings is not None:
            message += f" It was sought at {_address(settings)} (REDIS_URL, or DATA_DIR for the embedded one)."
        return cls(printable(message), code_of(error))


def code_of(error: WorkhorseError) -> int:
    """The exit code of an error's class, or of the nearest class that it is derived from."""
    return next(CODES[each] for each in type(error).__mro__ if each in CODES)


def usage(message: str) -> NoReturn:
    """End the command: it was called wrongly."""
    raise Refusal(printable(message), USAGE)


@contextmanager
def sentences_on_a_terminal() -> Iterator[None]:
    """Under the `flask` command, end with a sentence where a server would log a trace: for what fails at start-up."""
    try:
        yield
    except WorkhorseError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise Refusal.of(error) from error


class Commands(AppGroup):
    """A group whose commands run in the app's context, and whose expected errors end as a sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, epilog=EXIT_CODES, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        if not has_app_context():
            ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
        try:
            return super().invoke(ctx)
        except WorkhorseError as error:
            raise Refusal.of(error, services().settings) from error


def _place(fault: errors.Fault) -> str:
    return (fault.pointer or "").lstrip("/") or fault.parameter or "it"


def _address(settings: Settings) -> str:
    return settings.shown()["redis_url"] if settings.redis_url else str(settings.broker_socket)
