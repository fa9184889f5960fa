"""`jobs submit NAME`: a command for each job type, with options from its signature."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import Fault, InvalidParameters, InvalidRequest, JobTypeNotFound, PayloadTooLarge
from jobs.engine.json_pointer import parts, pointer
from jobs.engine.times import read_time
from webapp.options import OPTIONS, Option, Options, submission_of
from webapp.query import read
from webapp.services import services

from .endings import end_with
from .exits import usage
from .following import display, follow
from .operator import acting_user, as_option, note
from .parameter_options import (
    LocalFile,
    ParameterOption,
    json_text,
    local_files,
    parameter_options,
    with_files,
)
from .text import json_option, print_json

CHUNK_BYTES = 1_048_576
_ANY_ID = "0" * 32


class Submit(click.Group):
    """Its commands are the job types of the catalogue."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click names it)
        return list(services().catalogue)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002 (click names it)
        try:
            return SubmitOne(services().catalogue.find(cmd_name))
        except JobTypeNotFound as error:
            # The same sentence with the command in the place of the HTTP address.
            first, _, hint = error.message.partition("; ")
            hint = "'jobs types' lists all job types." if hint.startswith("GET") else hint
            raise JobTypeNotFound(f"{first}; {hint}") from None


class SubmitOne(click.Command):
    """Submits a job of one type."""

    def __init__(self, kind: JobType) -> None:
        self._kind = kind
        taken = {flag for option in _RUN_OPTIONS for flag in option.opts} | {"--help"}
        self._options = parameter_options(kind.parameters.schema, taken)
        self._mine = [option.as_click() for option in self._options]
        params: list[click.Parameter] = [*self._mine, *_RUN_OPTIONS]
        text = "\n\n".join(part for part in (kind.summary, kind.description) if part)
        super().__init__(kind.name, params=params, help=text, short_help=kind.summary, callback=self._submit)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the parameters of the job first, then the other options."""
        others = [each for each in self.get_params(ctx) if each not in self._mine]
        for title, options in (("Parameters", self._mine), ("Options", others)):
            records = [record for each in options if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def _submit(self, /, **given: Any) -> None:
        params = self._params(given)
        how = _run_options_of(given)
        self._validate(params)
        user = acting_user(given["user_id"])
        stored = with_files(params, lambda file: _uploaded(file, user.user_id))
        submission = submission_of(self._kind, stored, how, user)
        submitted = services().client.submit(submission)
        job = submitted.job
        if submitted.deduplicated:
            click.echo("An equal job exists, and nothing was stored.", err=True)
        note("submit-job", subject=job.job_id, user_id=user.user_id)
        if not (given["wait"] or given["follow"]):
            print_json(job.as_dict()) if given["as_json"] else click.echo(job.job_id)
            return
        quiet = given["as_json"] or not given["follow"]
        if not quiet:
            click.echo(job.job_id)
        end_with(follow(job.job_id, display(quiet=quiet), logs=given["logs"] and not quiet), as_json=given["as_json"])

    def _params(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of --params, overridden by the single options."""
        params: Any = json_text(given["params"], "--params") if given["params"] is not None else {}
        if not isinstance(params, dict):
            usage(f"--params must be a JSON object, not {type(params).__name__}.")
        for option in self._options:
            # A list option that was not given is empty. To pass an empty list, use --params.
            if given[option.key] not in (None, ()):
                params[option.name] = option.value(given[option.key])
        return params

    def _validate(self, params: dict[str, Any]) -> None:
        for file in local_files(params):
            _check(file)
        like_stored = with_files(params, lambda _file: _ANY_ID)
        size, most = len(json.dumps(like_stored).encode()), services().settings.max_params_bytes
        if size > most:
            raise PayloadTooLarge(f"The parameters have {size} bytes; the limit is {most} (MAX_PARAMS_BYTES).")
        try:
            self._kind.parameters.validate(like_stored)
        except InvalidParameters as error:
            flags = {option.name: option for option in self._options}
            usage("\n".join(_with_flag(each, flags) for each in error.faults))


def _with_flag(fault: Fault, options: dict[str, ParameterOption]) -> str:
    """Return a fault's message after the option it is about."""
    name, *rest = parts(fault.pointer or "") or ("",)
    if name not in options:
        return f"{fault.pointer or 'the parameters'}: {fault.message}"
    return f"{options[name].flag}{f' ({pointer(rest)})' if rest else ''}: {fault.message}"


def _run_options_of(given: dict[str, Any]) -> Options:
    values = {each.name: given[each.name] for each in OPTIONS if given[each.name] is not None}
    try:
        return read(Options, values)
    except InvalidRequest as error:
        usage("\n".join(f"{_flag(str(each.parameter))}: {each.message}" for each in error.faults))


def _check(file: LocalFile) -> None:
    most = services().settings.max_upload_bytes
    try:
        with file.path.open("rb"):
            size = file.path.stat().st_size
    except OSError as error:
        usage(f"{file.path} can't be read: {error.strerror}.")
    if size > most:
        raise PayloadTooLarge(f"{file.path} has {size} bytes; the limit is {most} (MAX_UPLOAD_BYTES).")


def _uploaded(file: LocalFile, owner: str) -> str:
    return services().client.files.save(owner, file.path.name, None, _chunks(file.path)).file_id


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601, with a zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return read_time(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time with a zone, for example 2030-01-31T12:00:00Z", param, ctx)


#: How click reads an option's text, by the type of its value.
_TYPES: dict[str, Any] = {"number": float, "integer": int, "date-time": Moment()}


def run_options(command: Any) -> Any:
    """Add the options that every job type has: how the job runs, and what the command prints."""
    for option in reversed(
        (
            click.option(
                "--params", metavar="JSON|@PATH", help="All parameters at once; single options override them."
            ),
            *map(_run_option, OPTIONS),
            as_option("Owner of the job."),
            click.option("--wait", is_flag=True, help="Wait until the job has ended, then print its result."),
            click.option("--follow", is_flag=True, help="Like --wait, and show the progress."),
            click.option("--logs", is_flag=True, help="With --follow: also show what the job prints and logs."),
            json_option,
        )
    ):
        command = option(command)
    return command


def _run_option(option: Option) -> Callable[[Any], Any]:
    kind: Any = click.Choice(option.choices) if option.choices else _TYPES.get(option.value_type)
    example = f" For example {option.example}." if option.example else ""
    return click.option(
        _flag(option.name),
        multiple=option.repeatable,
        type=kind,
        metavar=None if option.choices else option.details.metavar,
        help=option.explanation + example,
    )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _options_of(command: Any) -> list[click.Option]:
    return list(reversed(command.__click_params__))


@run_options
def _carrier() -> None:
    """Collect the options; it is never called."""


_RUN_OPTIONS = _options_of(_carrier)
