"""Pipelines: jobs that run one after the other, each on the results of those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jobs.engine.broker.references import PendingPlaces, Reference, find_references
from jobs.engine.errors import Fault, InvalidParameters, InvalidRequest, listed
from jobs.engine.json_pointer import pointer

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
    #: Fields of `Submission`: how to run the step.
    options: dict[str, Any] = field(default_factory=dict)


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
            _submission(step, user_id, ids[place], ids[place - 1 : place], admin=admin),
            at=f"/steps/{place}",
            references=tuple((number, ids[number]) for number in sorted({each.step for each in references[place]})),
        )
        for place, step in enumerate(steps)
    ]
    return submit_group(client, NewGroup(KIND, user_id, admin, idempotency_key, digest), parts, admission)


def _submission(step: Step, user_id: str, job_id: str, before: Sequence[str], *, admin: bool) -> Submission:
    """Return the submission of a step, which depends on the step before it."""
    own = Submission(step.job_type, step.params, user_id, admin=admin, job_id=job_id, **step.options)
    return replace(own, depends_on=tuple(before))


def checked_references(steps: Sequence[Step]) -> list[list[Reference]]:
    """Return the references of each step, after checking all parameters that are known already.

    Raises:
        InvalidRequest: with a fault for each error of each step, or for the first of them.
    """
    references, faults = [], []
    for place, step in enumerate(steps):
        found, wrong = find_references(step.params, place)
        wrong += _unknown_keys(step, found)
        references.append(found)
        for fault in [*wrong, *(_known_faults(step, found) if not wrong else ())]:
            where = f"/steps/{place}/params{fault.pointer or ''}"
            faults.append(Fault(fault.message, fault.code, pointer=where))
    if faults:
        raise InvalidRequest(listed(faults, len(faults)))
    return references


def _unknown_keys(step: Step, references: list[Reference]) -> list[Fault]:
    """Return a fault for each reference in the place of a value by which the step is limited or unique."""
    keys = step.job_type.rules.key_parameters(unique=not step.options.get("unique_key"))
    message = (
        "a limit or a rule for unique jobs needs this value when the step is submitted, so it can't be a reference"
    )
    return [Fault(message, "key_unknown", pointer=pointer(each.place)) for each in references if _is_in(each, keys)]


def _is_in(reference: Reference, parameters: frozenset[str]) -> bool:
    """Return True if a reference is in one of these parameters, or in the place of all of them."""
    return reference.place[0] in parameters if reference.place else bool(parameters)


def _known_faults(step: Step, references: list[Reference]) -> list[Fault]:
    try:
        step.job_type.parameters.validate(step.params, PendingPlaces(references).excuse)
    except InvalidParameters as error:
        return error.faults
    return []
