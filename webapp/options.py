"""The options of a submission, each written once for every way to submit a job.

The query parameters and their OpenAPI description, the entries of a batch, the fields of the form, the options of the
command line and the `Submission` are made from `Options`. To add an option, add a field here and to `Submission`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from jobs.engine.accounts.user import User
from jobs.engine.author.public_addresses import PublicUrl
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.client.submission import Submission
from jobs.engine.errors import MAX_LATER_SECONDS
from jobs.engine.states import Priority

from .openapi.models import value_schema
from .query import A_TIME, NUMBER, WHOLE_NUMBER, Moment

Schema = dict[str, Any]

Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
JobId = Annotated[str, Field(min_length=1, max_length=64)]


@dataclass(frozen=True)
class Details:
    """The label and metavar of an option, the field it sets, and the source of its default."""

    #: The label in the form.
    label: str
    #: The placeholder of a value on the command line.
    metavar: str
    #: The field of `Submission` that the option sets; None: the field with its own name.
    sets: str | None = None
    #: True if the default is the job type's attribute of the same name.
    default_from_job_type: bool = False


class Options(BaseModel):
    """The options of a submission. An option that is a tuple may be repeated."""

    priority: Annotated[
        Priority | None,
        Field(description="Queue in which the job waits."),
        Details("Priority", "PRIORITY", default_from_job_type=True),
    ] = None
    delay: Annotated[
        float | None,
        Field(ge=0, le=31_536_000, description="Seconds to wait before the job may start.", examples=[60]),
        NUMBER,
        Details("Delay", "SECONDS", sets="delay_seconds"),
    ] = None
    run_at: Annotated[
        Moment | None,
        Field(
            description="Earliest time at which the job may start, instead of a delay.",
            examples=["2030-01-31T12:00:00Z"],
        ),
        Details("Run at", "TIME"),
    ] = None
    timeout: Annotated[
        int | None,
        Field(ge=1, le=86_400, description="Maximum duration of one attempt in seconds.", examples=[120]),
        WHOLE_NUMBER,
        Details("Timeout", "SECONDS", default_from_job_type=True),
    ] = None
    start_by: Annotated[
        Moment | None,
        Field(
            description="Latest time at which the job may start. If it has not started by then, it is cancelled.",
            examples=["2030-01-31T13:00:00Z"],
        ),
        Details("Start by", "TIME"),
    ] = None
    start_within: Annotated[
        float | None,
        Field(
            gt=0,
            le=MAX_LATER_SECONDS,
            description="The same in seconds, from the submission or, for a delayed job, from the time at which it is "
            "due.",
            examples=[300],
        ),
        NUMBER,
        Details("Start within", "SECONDS", sets="start_within_seconds", default_from_job_type=True),
    ] = None
    unique_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="Words that make the job unique among your jobs of this type. If there is one with the same "
            "words that has not ended, that job is returned and nothing is stored.",
            examples=["invoice 2030-01"],
        ),
        Details("Unique key", "WORDS"),
    ] = None
    webhook_url: Annotated[
        PublicUrl | None,
        Field(
            description="Public URL that receives a signed message (Standard Webhooks) when the job has ended.",
            examples=["https://example.com/webhook"],
        ),
        Details("Webhook URL", "URL"),
    ] = None
    depends_on: Annotated[
        tuple[JobId, ...],
        Field(
            max_length=100,
            description="ID of a job that must complete before this one starts.",
            examples=["6f1c0a9e5b7d4c1f8e2a3b4c5d6e7f80"],
        ),
        Details("Depends on", "JOB_ID"),
    ] = ()
    tag: Annotated[
        tuple[Tag, ...],
        Field(
            max_length=10,
            description="Tag to find the job by. Letters, digits and . _ : - only.",
            examples=["nightly"],
        ),
        Details("Tags", "TAG", sets="tags"),
    ] = ()

    @field_validator("run_at")
    @classmethod
    def _only_one_time(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("delay") is not None:
            raise ValueError("delay and run_at exclude each other; send one of them")
        return value

    @field_validator("start_within")
    @classmethod
    def _only_one_deadline(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("start_by") is not None:
            raise ValueError("start_by and start_within exclude each other; send one of them")
        return value

    @field_validator("unique_key")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if value is not None and not value.isprintable():
            raise ValueError("expected printable characters")
        return value


@dataclass(frozen=True)
class Option:
    """One option, described for every way to submit a job."""

    name: str
    details: Details
    description: str
    #: A valid value as text; empty if the valid values are listed in `choices`.
    example: str
    repeatable: bool

    @property
    def schema(self) -> Schema:
        """Return the JSON Schema of the value: a list if the option is repeatable, and never null."""
        return _schemas()[self.name]

    @property
    def explanation(self) -> str:
        """Return the description, with notes on the default and on repetition."""
        notes = [self.description]
        if self.details.default_from_job_type:
            notes.append("Default: the job type's own.")
        if self.repeatable:
            notes.append("Repeatable.")
        return " ".join(notes)

    @property
    def value_type(self) -> str:
        """Return the JSON type of one value, or the format of a string that has one."""
        schema = self.schema["items"] if self.repeatable else self.schema
        return str(schema.get("format", schema["type"]))

    @property
    def choices(self) -> list[str]:
        """Return the valid values; empty if there is no fixed set."""
        return list(self.schema.get("enum", ()))

    def default_of(self, job_type: JobType) -> str:
        """Return the default for a job type as text; empty if there is none."""
        default = getattr(job_type, self.name) if self.details.default_from_job_type else None
        return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


class JsonOptions(Options):
    """The options in a JSON object: a number must not be a string, and a single string may stand for a list."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_in_json(cls, value: Any, info: ValidationInfo) -> Any:
        option = _BY_NAME.get(str(info.field_name))
        if option is None or value is None:
            return value
        if option.repeatable:
            return [value] if isinstance(value, str) else value
        if option.value_type in ("number", "integer") and isinstance(value, str | bool):
            raise ValueError("expected a number")
        if option.value_type == "date-time" and not isinstance(value, str):
            raise ValueError(f"expected {A_TIME}")
        return value


def openapi_parameters() -> list[dict[str, Any]]:
    """Describe the options as OpenAPI query parameters. A parameter with a list may be repeated."""
    return [
        {"name": each.name, "in": "query", "schema": each.schema, "description": each.explanation} for each in OPTIONS
    ]


def json_properties() -> dict[str, Schema]:
    """Describe the options as optional properties of a JSON object, by name."""
    return {each.name: _json_schema(each) | {"description": each.explanation} for each in OPTIONS}


def submission_of(
    job_type: JobType,
    params: dict[str, Any],
    options: Options,
    user: User,
    *,
    idempotency_key: str | None = None,
    digest: str | None = None,
) -> Submission:
    """Return a user's submission with its options."""
    return Submission(
        job_type=job_type,
        params=params,
        user_id=user.user_id,
        admin=user.is_admin,
        idempotency_key=idempotency_key,
        digest=digest,
        **submission_fields(options),
    )


def submission_fields(options: Options) -> dict[str, Any]:
    """Return the fields of a `Submission` that the options set. Duplicate values of an option are dropped."""
    given = [_BY_NAME[name] for name in options.model_fields_set if name in _BY_NAME]
    return {each.details.sets or each.name: _without_duplicates(getattr(options, each.name)) for each in given}


def _without_duplicates(value: Any) -> Any:
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value


def _json_schema(option: Option) -> Schema:
    schema = option.schema
    if option.repeatable:
        return {"anyOf": [schema, schema["items"]]}
    nullable = schema | {"type": [schema["type"], "null"]}
    return nullable | {"enum": [*option.choices, None]} if option.choices else nullable


def _options() -> tuple[Option, ...]:
    found = []
    for name, field in Options.model_fields.items():
        (details,) = [each for each in field.metadata if isinstance(each, Details)]
        example = str(field.examples[0]) if field.examples else ""
        repeatable = get_origin(field.annotation) is tuple
        found.append(Option(name, details, str(field.description), example, repeatable))
    return tuple(found)


@cache
def _schemas() -> dict[str, Schema]:
    """Return the schemas of the options, by name. Most processes need none of them."""
    whole = Options.model_json_schema()
    return {name: value_schema(part, whole.get("$defs", {})) for name, part in whole["properties"].items()}


OPTIONS = _options()
_BY_NAME = {each.name: each for each in OPTIONS}
