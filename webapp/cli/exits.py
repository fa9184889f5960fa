"""Turn every error into a sentence and an exit code. This is the only module that knows exit codes."""

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

SUCCESS, FAILURE, USAGE, UNREACHABLE, NOT_FOUND, REFUSED = range(6)
#: The exit code that shells use for Ctrl-C.
INTERRUPTED = 130

#: A class includes its subclasses. Every other error is an internal one.
CODES: dict[type[WorkhorseError], int] = {
    errors.ConfigurationError: USAGE,
    errors.UnservableFunction: USAGE,
    errors.InvalidRequest: USAGE,
    errors.MalformedRequest: USAGE,
    errors.BrokerUnavailable: UNREACHABLE,
    errors.NotFound: NOT_FOUND,
    errors.Forbidden: REFUSED,
    errors.Unauthenticated: REFUSED,
    errors.Conflict: REFUSED,
    errors.PayloadTooLarge: REFUSED,
    errors.TryAgainLater: REFUSED,
    WorkhorseError: FAILURE,
}

EXIT_CODES = """\
\b
Exit codes:
  0  success
  1  the job failed or was cancelled, or check or doctor found a problem
  2  invalid usage, parameters or settings
  3  the broker can't be reached
  4  the job, job type, schedule, user, key or worker does not exist
  5  refused: not possible in this state, or a limit is reached
"""


class Refusal(click.ClickException):
    """Ends a command with a message on stderr and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads the instance's

    @classmethod
    def of(cls, error: WorkhorseError, settings: Settings | None = None) -> Refusal:
        message = error.message
        if isinstance(error, InvalidRequest):
            message = "\n".join(f"{_place(each)}: {each.message}" for each in error.faults)
        if isinstance(error, errors.BrokerUnavailable) and settings is not None:
            message += f" Tried {_address(settings)} (REDIS_URL, or DATA_DIR for the embedded broker)."
        return cls(printable(message), code_of(error))


def code_of(error: WorkhorseError) -> int:
    """Return the exit code of an error's class, or of its nearest base class with one."""
    return next(CODES[each] for each in type(error).__mro__ if each in CODES)


def usage(message: str) -> NoReturn:
    """End the command because it was called incorrectly."""
    raise Refusal(printable(message), USAGE)


@contextmanager
def sentences_on_a_terminal() -> Iterator[None]:
    """Under the `flask` command, report an error at start-up as a sentence; elsewhere let it pass."""
    try:
        yield
    except WorkhorseError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise Refusal.of(error) from error


class Commands(AppGroup):
    """A group whose commands run in the app's context and report expected errors as a sentence."""

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
    return (fault.pointer or "").lstrip("/") or fault.parameter or "request"


def _address(settings: Settings) -> str:
    return settings.shown()["redis_url"] if settings.redis_url else str(settings.broker_socket)
