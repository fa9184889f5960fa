"""Pipelines: jobs that run one after the other, each on the results of those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jobs.engine.broker.references import PendingPlaces, Reference, find_references
from jobs.engine.errors import Fault, InvalidParameters, InvalidRequest, listed

from .new_groups import NewGroup, submit_group
from .submission import Part, Submission

if TYPE_CHECKING:
    from jobs.engine.accounts.admission import Admission
    from jobs.engine.catalogue.job_type import JobType

    from .client import Client

KIND = "pipeline"
MAX_STEPS = 100


@dataclass(frozen=True)
class Step:
    job_type: JobType
    #: With references in the place of values that are not known yet.
    params: dict[str, Any]


def submit_pipeline(
    client: Client,
    steps: Sequence[Step],
    user_id: str,
    *,
    admin: bool = False,
    idempotency_key: str | None = None,
    digest: str | None = None,
    admission: Admission | None = None,
) -> tuple[str, bool]:
    """Store all steps of a pipeline, or none.

    Returns:
        Its id, and True if an earlier request with this idempotency key has stored it.

    Raises:
        InvalidRequest: with pointers such as `/steps/1/params/texts`. The value of a reference is checked when its
            step starts.
        TooManyActiveJobs, IdempotencyKeyReused, Forbidden, Unauthenticated: as `Client.submit` does.
    """
    references = checked_references(steps)
    ids = [uuid4().hex for _ in steps]
    parts = [
        Part(
            Submission(
                step.job_type,
                step.params,
                user_id,
                depends_on=tuple(ids[place - 1 : place]),
                admin=admin,
                job_id=ids[place],
            ),
            at=f"/steps/{place}",
            references=tuple((number, ids[number]) for number in sorted({each.step for each in references[place]})),
        )
        for place, step in enumerate(steps)
    ]
    return submit_group(client, NewGroup(KIND, user_id, admin, idempotency_key, digest), parts, admission)


def checked_references(steps: Sequence[Step]) -> list[list[Reference]]:
    """Return the references of each step, after checking all parameters that are known already.

    Raises:
        InvalidRequest: with a fault for each error of each step, or for the first of them.
    """
    references, faults = [], []
    for place, step in enumerate(steps):
        found, wrong = find_references(step.params, place)
        references.append(found)
        for fault in [*wrong, *(_known_faults(step, found) if not wrong else ())]:
            where = f"/steps/{place}/params{fault.pointer or ''}"
            faults.append(Fault(fault.message, fault.code, pointer=where))
    if faults:
        raise InvalidRequest(listed(faults, len(faults)))
    return references


def _known_faults(step: Step, references: list[Reference]) -> list[Fault]:
    try:
        step.job_type.parameters.validate(step.params, PendingPlaces(references).excuse)
    except InvalidParameters as error:
        return error.faults
    return []
