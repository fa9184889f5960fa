"""Functions of the catalogue that are called here and now: for what takes less time than a queue would."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from jobs.engine.author.blobs import on_behalf_of
from jobs.engine.catalogue.catalogue import JobType
from jobs.engine.errors import BrokerUnavailable, Fatal, Fault, InvalidParameters, WorkhorseError

from .client import Client
from .submission import Submission

logger = logging.getLogger("workhorse")


def call(job_type: JobType, params: Mapping[str, Any], user_id: str) -> Any:
    """Run a function in this process, with the user's documents and models; its result as it would stand in a job.

    There is no timeout and no retry: it is for functions that answer in milliseconds.

    Raises:
        InvalidParameters: they don't fit, or the function finds (`Fatal`) that they can't be used.
    """
    args, kwargs = job_type.parameters.bind(dict(params))
    try:
        with on_behalf_of(user_id):
            return json.loads(job_type.result.dump(job_type.function(*args, **kwargs)))
    except Fatal as error:
        raise InvalidParameters([Fault(error.message, error.code, pointer="")]) from error


def submit_behind(client: Client, user_id: str, side_jobs: Mapping[str, Mapping[str, Any]]) -> None:
    """Store jobs that a call leaves behind, all in one step: they are nobody's, and act for the user.

    They never make the call fail: what can't be stored is logged. Types that the catalogue lacks are left out.
    """
    try:
        submissions = [_side_job(client, user_id, name, params) for name, params in side_jobs.items()]
        client.submit_unowned([each for each in submissions if each is not None])
    except BrokerUnavailable as error:
        logger.warning("the side jobs %s were not stored: %s", ", ".join(side_jobs), error)
    except WorkhorseError:
        logger.exception("the side jobs %s were not stored", ", ".join(side_jobs))


def _side_job(client: Client, user_id: str, name: str, params: Mapping[str, Any]) -> Submission | None:
    if name not in client.catalogue:
        return None
    job_type = client.catalogue.find(name)
    job_type.parameters.validate(dict(params))
    return Submission(job_type, dict(params), user_id="", acts_for=user_id)
