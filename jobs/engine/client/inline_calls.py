"""Call functions of the catalogue in this process, if they take less time than a queue would."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from jobs.engine.author.blobs import on_behalf_of
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import BrokerUnavailable, Fatal, Fault, InvalidParameters, WorkhorseError

from .client import Client
from .submission import Submission

logger = logging.getLogger("workhorse")


def call(job_type: JobType, params: Mapping[str, Any], user_id: str) -> Any:
    """Run a function with the user's documents and models. Return its result as a job's result would be.

    There is no timeout and no retry: this is for functions that take milliseconds.

    Raises:
        InvalidParameters: the parameters are not valid, or the function has raised `Fatal` because of them.
    """
    args, kwargs = job_type.parameters.bind(dict(params))
    try:
        with on_behalf_of(user_id):
            return json.loads(job_type.result.dump(job_type.function(*args, **kwargs)))
    except Fatal as error:
        raise InvalidParameters([Fault(error.message, error.code, pointer="")]) from error


def submit_behind(client: Client, user_id: str, side_jobs: Mapping[str, Mapping[str, Any]]) -> None:
    """Store the jobs that follow a call, in one step. No user owns them, and they act for the user.

    The call never fails because of them: if they can't be stored, that is logged. Job types that are not in the
    catalogue are left out.
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
