"""Submitting: one call for each job type, with its own parameters and result."""

from __future__ import annotations

from typing import Any

from jobs.engine.catalogue.catalogue import Catalogue, JobType
from jobs.engine.settings import Settings
from webapp.options import openapi_parameters

from .job_type_components import job_name, params_name
from .operation import LOCATION, RETRY_AFTER, answer, header, json_body, operation, ref, sent_header
from .schemas import TEXT

IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "Makes a repeat safe: for 24 h the same key with the same request answers what it stored then, and starts nothing.",
)

PARAMETERS = (
    *openapi_parameters(),
    IDEMPOTENCY_KEY,
    header(
        "Prefer",
        {"type": "string", "examples": ["wait=10"]},
        "`wait=N` (N ≤ 25): answer 200 with the final resource if the job ends within N seconds.",
    ),
)

REFUSED = (400, 401, 403, 413, 415, 422, 429, 503)

REPLAYED = sent_header("true if this Idempotency-Key had started the job already.", {"const": "true"})


def submit_paths(catalogue: Catalogue, settings: Settings) -> dict[str, Any]:
    """One path for each job type."""
    return {f"/jobs/{job_type.name}": {"post": _submit(job_type, settings)} for job_type in catalogue.values()}


def _submit(job_type: JobType, settings: Settings) -> dict[str, Any]:
    job = ref(job_name(job_type))
    known = {"Location": LOCATION, "Idempotency-Replayed": REPLAYED}
    stored = known | {"Retry-After": RETRY_AFTER}
    ended = known | {
        "Preference-Applied": sent_header("The wait that was granted.", {**TEXT, "examples": ["wait=10"]}),
    }
    return operation(
        f"submit-{job_type.name}",
        "Submitting",
        job_type.summary or job_type.name,
        {
            "202": answer("The job is stored.", job, headers=stored),
            "200": answer("The job has ended within the preferred wait.", job, headers=ended),
        },
        description="\n\n".join(filter(None, [job_type.description, _limits(job_type, settings)])),
        parameters=PARAMETERS,
        body=json_body(ref(params_name(job_type)), required=True),
        refused=REFUSED,
    )


def _limits(job_type: JobType, settings: Settings) -> str:
    attempts = "one attempt" if job_type.max_attempts == 1 else f"up to {job_type.max_attempts} attempts"
    kept = job_type.result_ttl or settings.result_ttl
    return (
        f"Runs in {attempts} of at most {job_type.timeout} s, by default with {job_type.priority} priority. "
        f"The body may have {settings.max_params_bytes} bytes; the result is kept for {kept} s."
    )
