"""Submit a job: read it, judge it whole, store it, and wait for it if the client prefers so."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, Field, ValidationInfo, field_validator

from jobs.engine.author.http import PublicUrl
from jobs.engine.catalogue.catalogue import JobType
from jobs.engine.client.client import Submission, Submitted
from jobs.engine.client.job import Job
from jobs.engine.errors import BrokerUnavailable
from jobs.engine.states import Priority

from .auth import admission, caller
from .body import json_object
from .headers import idempotency_key, preferred_wait
from .json_answer import json_answer
from .query import Decimal, Moment, Whole, query
from .services import services
from .waiting import job_after

blueprint = Blueprint("submissions", __name__, url_prefix="/api/v1")

POLL_AFTER_SECONDS = 1

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

Tag = Annotated[str, Field(pattern=r"\A[A-Za-z0-9._:-]{1,64}\z")]
JobId = Annotated[str, Field(min_length=1, max_length=64)]


class Options(BaseModel):
    """How a job is to run: the query of a submission."""

    priority: Priority | None = None
    delay: Decimal | None = Field(None, ge=0, le=31_536_000)
    run_at: Moment | None = None
    timeout: Whole | None = Field(None, ge=1, le=86_400)
    webhook_url: PublicUrl | None = None
    depends_on: tuple[JobId, ...] = Field((), max_length=100)
    tag: tuple[Tag, ...] = Field((), max_length=10)

    @field_validator("run_at")
    @classmethod
    def _only_one_time(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("delay") is not None:
            raise ValueError("delay and run_at exclude each other; send one of them")
        return value


@blueprint.post("/jobs/<job_type>")
def submit(job_type: str) -> Response:
    """Nothing is stored before all of it is known to be good."""
    kind = services().catalogue.find(job_type)
    key = idempotency_key()
    params = json_object()
    options = query(Options)
    seconds = preferred_wait()
    kind.parameters.validate(params)
    digest = request_digest(params) if key else None
    submission = submission_of(kind, params, options, key, digest)
    return _answer(services().client.submit(submission, admission()), seconds)


def submission_of(
    kind: JobType, params: dict[str, Any], options: Options, key: str | None = None, digest: str | None = None
) -> Submission:
    """The caller's job."""
    user = caller()
    return Submission(
        job_type=kind,
        params=params,
        user_id=user.user_id,
        priority=options.priority,
        delay_seconds=options.delay,
        run_at=options.run_at,
        timeout=options.timeout,
        depends_on=tuple(dict.fromkeys(options.depends_on)),
        tags=tuple(dict.fromkeys(options.tag)),
        idempotency_key=key,
        digest=digest,
        admin=user.is_admin,
        webhook_url=options.webhook_url,
    )


def accepted(job: Job) -> Response:
    """202: it is stored. Look again in a second."""
    answer = json_answer(job.as_dict(), 202)
    answer.headers["Location"] = job.poll_url
    answer.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    return answer


def _answer(submitted: Submitted, seconds: int | None) -> Response:
    job = submitted.job if seconds is None else _awaited(submitted.job, seconds)
    answer = accepted(job) if seconds is None or not job.status.terminal else _done(job, seconds)
    if submitted.replayed:
        answer.headers["Idempotency-Replayed"] = "true"
    return answer


def _awaited(job: Job, seconds: int) -> Job:
    """The job when it has ended. It is stored: a broker that goes away meanwhile doesn't make this a failure."""
    try:
        return job_after(job, version=None, seconds=seconds)
    except BrokerUnavailable:
        return job


def _done(job: Job, seconds: int) -> Response:
    answer = json_answer(job.as_dict())
    answer.headers["Location"] = job.poll_url
    answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer


def request_digest(params: Any) -> str:
    """Of what was asked for, however its keys and parameters were ordered."""
    query = sorted(request.args.items(multi=True)) if request.environ.get("QUERY_STRING") else []
    asked = [request.method, request.path, query, params]
    return sha256(_ENCODER.encode(asked).encode()).hexdigest()
