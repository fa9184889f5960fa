"""Check before a deployment that the new code can run the jobs and schedules in the broker.

The parameters of every job that has not ended, and of every schedule, are validated against the function's signature
in this process. Running jobs are included: a deployment puts back the jobs that it can't wait for, and the new code
continues them.

The check reads everything that waits, in chunks, so it is for a release step and never on a request's path. It does
NOT see jobs that are submitted to the old code while it reads, and it does not check that files of a job still exist.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

from jobs.engine.broker import malformed
from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.references import PendingPlaces, find_references
from jobs.engine.broker.store.calls import read_call
from jobs.engine.broker.store.store import Store
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.errors import Fault, InvalidParameters
from jobs.engine.queue_names import needs_of
from jobs.engine.settings import Settings
from jobs.engine.states import FROM_RQ, Priority

from .changed_rules import RULE_FIELDS, changed_rules

#: Records that are read in one round trip.
CHUNK = 500

#: References may name any step here: the submission checked that they name an earlier one.
_LAST_STEP = 10**6

_FIELDS = ("status", "type", "data", "version", "references", "reason", "origin", *RULE_FIELDS)


@dataclass(frozen=True)
class Mismatch:
    """A job or a schedule that this code can't run, and why."""

    #: `job` or `schedule`.
    what: str
    id: str
    job_type: str
    #: queued, scheduled, waiting, limited, retrying, running; empty for a schedule.
    state: str
    faults: tuple[Fault, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "id": self.id,
            "job_type": self.job_type,
            "state": self.state or None,
            "faults": [fault.as_dict() for fault in self.faults],
        }

    def __str__(self) -> str:
        state = f", {self.state}" if self.state else ""
        reasons = "; ".join(
            f"{fault.pointer}: {fault.message}" if fault.pointer else fault.message for fault in self.faults
        )
        return f"{self.what} {self.id} ({self.job_type}{state}): {reasons}"


class DeployCheck:
    """One pass over the jobs and schedules in the broker. `jobs` and `schedules` count what was checked so far."""

    def __init__(self, store: Store, catalogue: Catalogue, settings: Settings) -> None:
        self._connection: Any = store.connection
        self._catalogue = catalogue
        self._allowed = settings.allowed_functions
        self.jobs = 0
        self.schedules = 0
        #: The waiting jobs whose type has other needs now, by queue and job type. Workers still serve these queues.
        self.moved: Counter[tuple[str, str]] = Counter()
        #: The unfinished jobs that have other rules than new ones, by job type and `limits` or `unique`.
        self.changed: Counter[tuple[str, str]] = Counter()
        self._served: dict[str, bool] = {}

    def mismatches(self) -> Iterator[Mismatch]:
        """Yield each job and schedule that this code can't run, once, as it is found.

        Raises:
            BrokerUnavailable
        """
        reported: set[str] = set()
        with broker_errors():
            for mismatch in chain(self._of_jobs(), self._of_schedules()):
                if mismatch.id not in reported:
                    reported.add(mismatch.id)
                    yield mismatch

    # --- jobs ---------------------------------------------------------------------------

    def _of_jobs(self) -> Iterator[Mismatch]:
        waiting = self._waiting()
        while ids := list(islice(waiting, CHUNK)):
            pipeline = self._connection.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hmget(f"rq:job:{job_id}", _FIELDS)
            for job_id, fields in zip(ids, malformed.replies(pipeline), strict=True):
                yield from self._judge(job_id, dict(zip(_FIELDS, fields or (), strict=False)))

    def _waiting(self) -> Iterator[str]:
        """Yield the ids of all jobs that have not ended, in the order in which a job moves from list to list."""
        keys = malformed.readable("rq:queues", lambda: self._connection.smembers("rq:queues")) or ()
        known = {malformed.text(key).removeprefix("rq:queue:") for key in keys}
        queues = sorted(known.union(str(each) for each in Priority))
        for registry in ("scheduled", "deferred"):
            for queue in queues:
                yield from self._members(f"rq:{registry}:{queue}")
        for queue in queues:
            yield from self._listed(f"rq:queue:{queue}")
        for member in self._members("wh:leases"):
            yield member.rpartition(":")[0]

    def _members(self, key: str) -> Iterator[str]:
        # Only sorted sets have members: the lock of RQ's scheduler has a name like a registry's.
        if self._connection.type(key) == b"zset":
            for member, _score in self._connection.zscan_iter(key, count=CHUNK):
                yield malformed.text(member)

    def _listed(self, key: str) -> Iterator[str]:
        """Read from the tail: workers take jobs from the head meanwhile, which does not shift the rest."""
        seen = 0
        while ids := malformed.readable(key, partial(self._connection.lrange, key, -seen - CHUNK, -seen - 1)):
            seen += len(ids)
            yield from (malformed.text(each) for each in ids)

    def _judge(self, job_id: str, fields: dict[str, bytes | None]) -> Iterator[Mismatch]:
        status = malformed.text(fields.get("status") or b"")
        # A cancelled job stays in its queue until a worker drops it.
        if status not in FROM_RQ or FROM_RQ[status].terminal:
            return
        self.jobs += 1
        call = _call(fields["data"] or b"")
        if call is None:
            return  # a pickled job of plain RQ: our workers never run it
        func_name, params = call
        name = malformed.text(fields["type"] or b"") or func_name
        ours = fields["version"] is not None
        faults = [*self._faults(name, func_name, params, ours=ours, step=fields["references"])]
        if ours and status != "started":
            faults += self._faults_of_needs(func_name, malformed.text(fields["origin"] or b""))
        if ours and not faults:
            self.changed.update((name, rule) for rule in changed_rules(self._catalogue[name], params, fields))
        if faults:
            state = "running" if status == "started" else malformed.text(fields["reason"] or status.encode())
            yield Mismatch("job", job_id, name, state, tuple(faults))

    def _faults(self, name: str, func_name: str, params: Any, *, ours: bool, step: bytes | None) -> Sequence[Fault]:
        kind = self._catalogue.by_function(func_name)
        if kind is None:
            return [] if not ours and func_name in self._allowed else [self._unknown(name, func_name)]
        if not ours:
            return []  # a job of plain RQ: its arguments are not validated
        references = find_references(params, _LAST_STEP)[0] if step is not None else []
        try:
            kind.parameters.validate(params, PendingPlaces(references).excuse)
        except InvalidParameters as error:
            return error.faults
        return []

    def _faults_of_needs(self, func_name: str, queue: str) -> Iterator[Fault]:
        """Yield a fault if no live worker serves a job's queue, and jobs of its type no longer go there."""
        kind = self._catalogue.by_function(func_name)
        if kind is None or needs_of(queue) == kind.needs:
            return
        if self._is_served(queue):
            self.moved[queue, kind.name] += 1
            return
        now = f"now needs {', '.join(kind.needs)}" if kind.needs else "has no needs now"
        message = f"it waits in queue {queue}, which no live worker serves, and its job type {now}"
        yield Fault(message, "needs_changed")

    def _is_served(self, queue: str) -> bool:
        if queue not in self._served:
            self._served[queue] = bool(self._connection.exists(f"wh:served:{queue}"))
        return self._served[queue]

    def _unknown(self, name: str, func_name: str) -> Fault:
        if name in self._catalogue:
            now = self._catalogue[name].func_name
            return Fault(f"it calls {func_name}, but {name} is now {now}; keep the old name", "unknown_function")
        return Fault(f"function {func_name} is no longer in the catalogue", "unknown_function")

    # --- schedules ------------------------------------------------------------------------

    def _of_schedules(self) -> Iterator[Mismatch]:
        ids = self._members("wh:schedules")
        while chunk := list(islice(ids, CHUNK)):
            pipeline = self._connection.pipeline(transaction=False)
            for schedule_id in chunk:
                pipeline.hget(f"wh:schedule:{schedule_id}", "record")
            for schedule_id, record in zip(chunk, malformed.replies(pipeline), strict=True):
                plan = malformed.readable(f"wh:schedule:{schedule_id}", lambda record=record: _plan(record))  # type: ignore[misc]
                if plan is not None:
                    yield from self._judge_schedule(schedule_id, *plan)

    def _judge_schedule(self, schedule_id: str, name: str, params: Any) -> Iterator[Mismatch]:
        self.schedules += 1
        faults: Sequence[Fault] = ()
        if name not in self._catalogue:
            faults = [Fault(f"job type {name!r} no longer exists", "job_type_not_found")]
        else:
            try:
                self._catalogue[name].parameters.validate(params)
            except InvalidParameters as error:
                faults = error.faults
        if faults:
            yield Mismatch("schedule", schedule_id, name, "", tuple(faults))


def _plan(record: bytes | None) -> tuple[str, Any] | None:
    """Return a schedule's job type and parameters, or None if the schedule was deleted meanwhile."""
    if record is None:
        return None
    plan = json.loads(record)
    return str(plan["job_type"]), plan["params"]


def _call(data: bytes) -> tuple[str, Any] | None:
    """Return the function's name and its keyword arguments, or None if the data is not JSON."""
    try:
        call = read_call(data)
    except (ValueError, TypeError, RecursionError):
        return None
    return str(call.func_name), call.kwargs
