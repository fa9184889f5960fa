"""Submit several jobs at once: all of them are stored, or none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.store.verdicts import SubmitVerdict

from .file_checks import check_files_of_parts, check_unless_repeated
from .refusals import raise_unless_stored
from .submission import Part, Submission, described, shared_fields

if TYPE_CHECKING:
    from jobs.engine.accounts.admission import Admission

    from .client import Client


@dataclass(frozen=True)
class NewGroup:
    """A group to store: its kind, `batch` or `pipeline`, its owner and its options."""

    kind: str
    user_id: str
    admin: bool = False
    idempotency_key: str | None = None
    digest: str | None = None
    webhook_url: str | None = None


def submit_batch(
    client: Client, group: NewGroup, submissions: Sequence[Submission], admission: Admission | None = None
) -> tuple[str, bool]:
    """Store these jobs as `submit_group` does. Pointers begin with /jobs/0."""
    parts = [Part(each, at=f"/jobs/{place}") for place, each in enumerate(submissions)]
    return submit_group(client, group, parts, admission)


def submit_group(
    client: Client, group: NewGroup, parts: Sequence[Part], admission: Admission | None = None
) -> tuple[str, bool]:
    """Store jobs that belong together, all of them or none. The same atomic step admits the request for them.

    Returns:
        The group's id, and True if an earlier request with this idempotency key has stored it.

    Raises:
        The errors of `Client.submit`; faults point into the request.
    """
    jobs = [described(part.submission, client.settings) for part in parts]
    for part, (description, _data) in zip(parts, jobs, strict=True):
        if part.references:
            description["references"] = part.references
    options = replace(
        parts[0].submission, idempotency_key=group.idempotency_key, digest=group.digest, admin=group.admin
    )
    shared = shared_fields(options, client.settings) | {
        "group": uuid4().hex,
        "group_kind": group.kind,
        "job_ids": json.dumps([description["id"] for description, _data in jobs]),
    }
    if group.webhook_url:
        shared["webhook_url"] = group.webhook_url
    check_unless_repeated(client.store, shared, lambda: check_files_of_parts(client.files, parts))
    with broker_errors():
        reply = client.store.submit(shared, jobs, admission.as_json() if admission else b"")
    raise_unless_stored(reply, client.settings.max_active_jobs_per_user, parts)
    return reply.subject_id, reply.verdict is SubmitVerdict.REPLAYED
