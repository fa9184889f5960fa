"""The verdict on a run: compare the ledger with the traces."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import redis

from .faults import Injection
from .key_verdict import judge_keys, judge_unique
from .ledger import TERMINAL, Entry, Ledger
from .traces import Line, all_traces
from .workload import DEPLOY_NUMBERS
from .world import World

#: How late a delayed job may be while there is a broker and a host.
LATE_SECONDS = 5.0
#: A suffix to the name of a fault, for jobs that were hit during or shortly before an outage of the broker or hosts.
OUTAGE = " in outage"


@dataclass
class Verdict:
    """The violations by kind, and the measured times."""

    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: The seconds from a kill to the next start of the job, and to its return to the queue, by fault.
    again: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    put_back: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: The seconds by which delayed jobs entered their queues too late.
    late: list[float] = field(default_factory=list)
    starts: int = 0
    worker_lost: int = 0

    def add_violation(self, kind: str, what: str) -> None:
        self.violations[kind].append(what)


def judge(world: World, ledger: Ledger, injections: list[Injection]) -> Verdict:
    verdict = Verdict()
    traces = dict(all_traces(world.traces))
    with world.connect() as connection:
        numbers = _jobs_by_number(connection)
        for entry in ledger.snapshot():
            _judge_answers(verdict, entry, numbers.get(entry.wish.number, set()))
            if entry.job_id is not None:
                lines = traces.get(entry.job_id, [])
                _judge_end(verdict, entry, connection, lines)
                judge_deploy(verdict, entry, lines, injections)
                _measure_delay(verdict, entry, connection, injections)
        _judge_starts(verdict, ledger, traces)
        for lines in traces.values():
            _judge_effects(verdict, lines)
            verdict.starts += sum(line["what"] == "started" for line in lines)
        for kind, what in (*judge_keys(world.traces), *judge_unique(connection)):
            verdict.add_violation(kind, what)
        _measure(verdict, injections, traces, connection)
    for sentence in ledger.regressions:
        verdict.add_violation("REGRESSION", sentence)
    return verdict


def _jobs_by_number(connection: redis.Redis) -> dict[int, set[str]]:
    """Find every job in the broker, by the number of its wish."""
    found: dict[int, set[str]] = defaultdict(set)
    for key in connection.scan_iter("rq:job:*", count=1000):
        if key.count(b":") == 2 and (data := connection.hget(key, "data")):
            found[json.loads(data)[3]["number"]].add(key.decode().removeprefix("rq:job:"))
    return found


def _judge_answers(verdict: Verdict, entry: Entry, stored: set[str]) -> None:
    number = entry.wish.number
    if len(entry.job_ids | stored) > 1:
        verdict.add_violation("TWO JOBS FOR ONE KEY", f"wish {number}: answered {entry.job_ids}, stored {stored}")
    if entry.refused and stored:
        verdict.add_violation("GHOST", f"wish {number} was refused ({entry.refused}) and stored as {stored}")
    if entry.refused and not entry.wish.flaw:
        verdict.add_violation("WRONGLY REFUSED", f"wish {number}: {entry.refused}")
    if not entry.refused and not entry.job_ids:
        verdict.add_violation("UNANSWERED", f"wish {number}, after {entry.unknowns} unknown answers")
    if entry.wish.flaw and entry.job_ids:
        verdict.add_violation("WRONGLY ACCEPTED", f"wish {number} ({entry.wish.flaw})")


def _judge_end(verdict: Verdict, entry: Entry, connection: redis.Redis, lines: list[Line]) -> None:
    status = str(entry.status)
    verdict.ended[status] += 1
    who = f"wish {entry.wish.number} ({entry.wish.job_type}), job {entry.job_id}"
    if status not in TERMINAL:
        verdict.add_violation("LOST", f"{who} is {status}")
        return
    effects = {line["step"] for line in lines if line["what"] == "effect"}
    wanted = set(range(entry.wish.params.get("steps", 1)))
    if status == "completed" and effects != wanted:
        verdict.add_violation("LOST", f"{who} is completed and had effects {effects} of {wanted}")
    if status == "cancelled" and entry.cancelled_at is not None:
        late = [line for line in lines if line["what"] == "started" and line["at"] > entry.cancelled_at]
        if late:
            verdict.add_violation("RAN AFTER CANCEL", f"{who}: {late[0]}")
    if status in ("failed", "cancelled"):
        _judge_reason(verdict, entry, who, connection)


def _judge_reason(verdict: Verdict, entry: Entry, who: str, connection: redis.Redis) -> None:
    stored = connection.hmget(f"rq:job:{entry.job_id}", "error_type", "error")
    error_type, error = ((value or b"").decode() for value in stored)  # type: ignore[union-attr]
    if error_type == "worker_lost":
        verdict.worker_lost += 1
    elif entry.status == "failed" and (entry.wish.job_type != "hopeless" or error_type != "ValueError"):
        verdict.add_violation("FAILED WITHOUT CAUSE", f"{who}: {error_type} {error[:120]}")
    elif entry.status == "cancelled" and not entry.cancel_asked and error_type != "dependency_failed":
        verdict.add_violation("CANCELLED WITHOUT CAUSE", f"{who}: {error_type} {error[:120]}")


def judge_deploy(verdict: Verdict, entry: Entry, lines: list[Line], injections: list[Injection]) -> None:
    """Check that a job that a deploy interrupts ends within the grace time if it can, and spends no retry otherwise."""
    if entry.wish.number < DEPLOY_NUMBERS:
        return
    starts = [line for line in lines if line["what"] == "started"]
    if any(line["attempt"] > 1 for line in starts):
        verdict.add_violation("RETRY SPENT", f"by a deploy: {starts}")
    seconds = entry.wish.params["steps"] * entry.wish.params["seconds"]
    if seconds > 20 or len(starts) < 2:
        return
    # The job may have started long after its deploy, and another fault may have hit it.
    first, second = starts[:2]
    if any(injection.kind != "deploy" and injection.pids & {first["pid"], first["ppid"]} for injection in injections):
        return
    away = [injection for injection in injections if injection.kind.startswith("broker") and injection.until]
    deploys = [
        injection
        for injection in injections
        if injection.kind == "deploy" and first["at"] <= injection.at <= second["at"]
    ]
    if deploys and not any(_overlap(each, deploys[0]) for each in away):
        verdict.add_violation("CUT SHORT", f"a job of {seconds:g} s, by a deploy: {starts}")


def _overlap(one: Injection, other: Injection) -> bool:
    return one.at <= other.until and other.at <= one.until


def _measure_delay(verdict: Verdict, entry: Entry, connection: redis.Redis, injections: list[Injection]) -> None:
    delay = entry.wish.delay_seconds
    if delay is None or entry.wish.after is not None:
        return
    events = [json.loads(event) for event in connection.lrange(f"wh:events:{entry.job_id}", 0, -1)]
    queued = [_moment(event) for event in events if event["type"] == "job_queued"]
    if len(queued) < 2 or any(
        injection.at <= queued[1] and queued[0] <= injection.until for injection in injections if injection.until
    ):
        return
    verdict.late.append(queued[1] - queued[0] - delay)
    if verdict.late[-1] > LATE_SECONDS:
        verdict.add_violation("LATE", f"job {entry.job_id} came {verdict.late[-1]:.1f} s after its time")


def _judge_starts(verdict: Verdict, ledger: Ledger, traces: dict[str, list[Line]]) -> None:
    known = {job_id for entry in ledger.snapshot() for job_id in entry.job_ids}
    for job_id, lines in traces.items():
        if job_id not in known:
            verdict.add_violation("GHOST", f"job {job_id} ran and was never acknowledged: {lines[0]}")


def _judge_effects(verdict: Verdict, lines: list[Line]) -> None:
    seen: set[int] = set()
    kept = 0
    for line in lines:
        if line["what"] == "effect":
            if line["step"] in seen:
                verdict.add_violation("DUPLICATE EFFECT", f"{line}")
            seen.add(line["step"])
        elif line["what"] == "kept":
            kept = max(kept, line["done"])
        elif line["what"] == "started":
            if line["alive"]:
                verdict.add_violation("OVERLAP", f"{line}")
            if line["done"] < kept:
                verdict.add_violation("REGRESSION", f"checkpoint {kept} was kept, started with {line['done']}: {line}")


def _measure(
    verdict: Verdict, injections: list[Injection], traces: dict[str, list[Line]], connection: redis.Redis
) -> None:
    """Measure how soon each job of a killed process was back in its queue, and how soon it started again."""
    outages = [injection for injection in injections if injection.until]
    for job_id, lines in traces.items():
        starts = [place for place, line in enumerate(lines) if line["what"] == "started"]
        for start, following in zip(starts, [*starts[1:], len(lines)], strict=True):
            for injection in injections:
                if injection.pids and _was_running(injection, lines[start], lines[start + 1 : following + 1]):
                    events = connection.lrange(f"wh:events:{job_id}", 0, -1)
                    _measure_one(verdict, injection, outages, lines[following : following + 1], events)  # type: ignore[arg-type]


def _was_running(injection: Injection, start: Line, later: list[Line]) -> bool:
    """Return True if the process of this start was hit before its function returned and before the next start."""
    if start["at"] > injection.at or not {start["pid"], start["ppid"]} & injection.pids:
        return False
    return not any(line["what"] in ("returned", "started") and line["at"] <= injection.at for line in later)


def _measure_one(
    verdict: Verdict, injection: Injection, outages: list[Injection], next_start: list[Line], events: list[bytes]
) -> None:
    returns = [_moment(event) for event in map(json.loads, events) if event["type"] == "job_resumed"]
    back = next((at for at in returns if at >= injection.at), None)
    until = next_start[0]["at"] if next_start else back or injection.at
    troubled = any(
        outage is not injection and outage.at <= until and injection.at <= outage.until for outage in outages
    )
    kind = injection.kind + OUTAGE if troubled else injection.kind
    if next_start:
        verdict.again[kind].append(next_start[0]["at"] - injection.at)
    if back is not None:
        verdict.put_back[kind].append(back - injection.at)


def _moment(event: dict[str, str]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()
