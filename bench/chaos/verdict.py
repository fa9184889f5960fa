"""What the run shows: the ledger against the witnesses."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import redis

from .faults import Blow
from .ledger import TERMINAL, Entry, Ledger
from .witness import Line, all_witnesses
from .workload import DEPLOY_NUMBERS
from .world import World

#: How late a delayed job may be while there is a broker and a host.
LATE_SECONDS = 5.0
#: Put behind a fault's name for jobs that were hit while, or shortly before, the broker or all hosts were away.
OUTAGE = " in outage"


@dataclass
class Verdict:
    """Each violation by its kind, with enough to look it up."""

    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Seconds from a kill to the job's next start, and to its return into the queue, by fault.
    again: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    put_back: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: Seconds by which delayed jobs came into their queues too late.
    late: list[float] = field(default_factory=list)
    starts: int = 0
    worker_lost: int = 0

    def accuse(self, kind: str, what: str) -> None:
        self.violations[kind].append(what)


def judge(world: World, ledger: Ledger, blows: list[Blow]) -> Verdict:
    verdict = Verdict()
    witnesses = dict(all_witnesses(world.witness))
    with world.connect() as connection:
        numbers = _jobs_by_number(connection)
        for entry in ledger.snapshot():
            _judge_answers(verdict, entry, numbers.get(entry.wish.number, set()))
            if entry.job_id is not None:
                lines = witnesses.get(entry.job_id, [])
                _judge_end(verdict, entry, connection, lines)
                judge_deploy(verdict, entry, lines, blows)
                _measure_delay(verdict, entry, connection, blows)
        _judge_starts(verdict, ledger, witnesses)
        for lines in witnesses.values():
            _judge_effects(verdict, lines)
            verdict.starts += sum(line["what"] == "started" for line in lines)
        _measure(verdict, blows, witnesses, connection)
    for sentence in ledger.regressions:
        verdict.accuse("REGRESSION", sentence)
    return verdict


def _jobs_by_number(connection: redis.Redis) -> dict[int, set[str]]:
    """Every job that the broker has, by the wish it came from."""
    found: dict[int, set[str]] = defaultdict(set)
    for key in connection.scan_iter("rq:job:*", count=1000):
        if key.count(b":") == 2 and (data := connection.hget(key, "data")):
            found[json.loads(data)[3]["number"]].add(key.decode().removeprefix("rq:job:"))
    return found


def _judge_answers(verdict: Verdict, entry: Entry, stored: set[str]) -> None:
    number = entry.wish.number
    if len(entry.job_ids | stored) > 1:
        verdict.accuse("TWO JOBS FOR ONE KEY", f"wish {number}: answered {entry.job_ids}, stored {stored}")
    if entry.refused and stored:
        verdict.accuse("GHOST", f"wish {number} was refused ({entry.refused}) and stored as {stored}")
    if entry.refused and not entry.wish.flaw:
        verdict.accuse("WRONGLY REFUSED", f"wish {number}: {entry.refused}")
    if not entry.refused and not entry.job_ids:
        verdict.accuse("UNANSWERED", f"wish {number}, after {entry.unknowns} unknown answers")
    if entry.wish.flaw and entry.job_ids:
        verdict.accuse("WRONGLY ACCEPTED", f"wish {number} ({entry.wish.flaw})")


def _judge_end(verdict: Verdict, entry: Entry, connection: redis.Redis, lines: list[Line]) -> None:
    status = str(entry.status)
    verdict.ended[status] += 1
    who = f"wish {entry.wish.number} ({entry.wish.job_type}), job {entry.job_id}"
    if status not in TERMINAL:
        verdict.accuse("LOST", f"{who} is {status}")
        return
    effects = {line["step"] for line in lines if line["what"] == "effect"}
    wanted = set(range(entry.wish.params.get("steps", 1)))
    if status == "completed" and effects != wanted:
        verdict.accuse("LOST", f"{who} is completed and had effects {effects} of {wanted}")
    if status == "cancelled" and entry.cancelled_at is not None:
        late = [line for line in lines if line["what"] == "started" and line["at"] > entry.cancelled_at]
        if late:
            verdict.accuse("RAN AFTER CANCEL", f"{who}: {late[0]}")
    if status in ("failed", "cancelled"):
        _judge_reason(verdict, entry, who, connection)


def _judge_reason(verdict: Verdict, entry: Entry, who: str, connection: redis.Redis) -> None:
    stored = connection.hmget(f"rq:job:{entry.job_id}", "error_type", "error")
    error_type, error = ((value or b"").decode() for value in stored)  # type: ignore[union-attr]
    if error_type == "worker_lost":
        verdict.worker_lost += 1
    elif entry.status == "failed" and (entry.wish.job_type != "hopeless" or error_type != "ValueError"):
        verdict.accuse("FAILED WITHOUT CAUSE", f"{who}: {error_type} {error[:120]}")
    elif entry.status == "cancelled" and not entry.cancel_asked and error_type != "dependency_failed":
        verdict.accuse("CANCELLED WITHOUT CAUSE", f"{who}: {error_type} {error[:120]}")


def judge_deploy(verdict: Verdict, entry: Entry, lines: list[Line], blows: list[Blow]) -> None:
    """A job that a deploy found running finishes if the grace time allows it, and spends no retry if not."""
    if entry.wish.number < DEPLOY_NUMBERS:
        return
    starts = [line for line in lines if line["what"] == "started"]
    if any(line["attempt"] > 1 for line in starts):
        verdict.accuse("RETRY SPENT", f"by a deploy: {starts}")
    seconds = entry.wish.params["steps"] * entry.wish.params["seconds"]
    if seconds > 20 or len(starts) < 2:
        return
    # It may have started late, long after the deploy that it was made for, and been struck by something else.
    first, second = starts[:2]
    if any(blow.kind != "deploy" and blow.pids & {first["pid"], first["ppid"]} for blow in blows):
        return
    away = [blow for blow in blows if blow.kind.startswith("broker") and blow.until]
    deploys = [blow for blow in blows if blow.kind == "deploy" and first["at"] <= blow.at <= second["at"]]
    if deploys and not any(_overlap(each, deploys[0]) for each in away):
        verdict.accuse("CUT SHORT", f"a job of {seconds:g} s, by a deploy: {starts}")


def _overlap(one: Blow, other: Blow) -> bool:
    return one.at <= other.until and other.at <= one.until


def _measure_delay(verdict: Verdict, entry: Entry, connection: redis.Redis, blows: list[Blow]) -> None:
    delay = entry.wish.delay_seconds
    if delay is None or entry.wish.after is not None:
        return
    events = [json.loads(event) for event in connection.lrange(f"wh:events:{entry.job_id}", 0, -1)]
    queued = [_moment(event) for event in events if event["type"] == "job_queued"]
    if len(queued) < 2 or any(blow.at <= queued[1] and queued[0] <= blow.until for blow in blows if blow.until):
        return
    verdict.late.append(queued[1] - queued[0] - delay)
    if verdict.late[-1] > LATE_SECONDS:
        verdict.accuse("LATE", f"job {entry.job_id} came {verdict.late[-1]:.1f} s after its time")


def _judge_starts(verdict: Verdict, ledger: Ledger, witnesses: dict[str, list[Line]]) -> None:
    known = {job_id for entry in ledger.snapshot() for job_id in entry.job_ids}
    for job_id, lines in witnesses.items():
        if job_id not in known:
            verdict.accuse("GHOST", f"job {job_id} ran and was never acknowledged: {lines[0]}")


def _judge_effects(verdict: Verdict, lines: list[Line]) -> None:
    seen: set[int] = set()
    kept = 0
    for line in lines:
        if line["what"] == "effect":
            if line["step"] in seen:
                verdict.accuse("DUPLICATE EFFECT", f"{line}")
            seen.add(line["step"])
        elif line["what"] == "kept":
            kept = max(kept, line["done"])
        elif line["what"] == "started":
            if line["alive"]:
                verdict.accuse("OVERLAP", f"{line}")
            if line["done"] < kept:
                verdict.accuse("REGRESSION", f"checkpoint {kept} was kept, started with {line['done']}: {line}")


def _measure(verdict: Verdict, blows: list[Blow], witnesses: dict[str, list[Line]], connection: redis.Redis) -> None:
    """How long each job that was running in a killed process waited: for its queue, and for its next start."""
    outages = [blow for blow in blows if blow.until]
    for job_id, lines in witnesses.items():
        starts = [place for place, line in enumerate(lines) if line["what"] == "started"]
        for start, following in zip(starts, [*starts[1:], len(lines)], strict=True):
            for blow in blows:
                if blow.pids and _was_running(blow, lines[start], lines[start + 1 : following + 1]):
                    events = connection.lrange(f"wh:events:{job_id}", 0, -1)
                    _measure_one(verdict, blow, outages, lines[following : following + 1], events)  # type: ignore[arg-type]


def _was_running(blow: Blow, start: Line, later: list[Line]) -> bool:
    """Whether this start's process was hit before its function returned, and before the next start."""
    if start["at"] > blow.at or not {start["pid"], start["ppid"]} & blow.pids:
        return False
    return not any(line["what"] in ("returned", "started") and line["at"] <= blow.at for line in later)


def _measure_one(
    verdict: Verdict, blow: Blow, outages: list[Blow], next_start: list[Line], events: list[bytes]
) -> None:
    returns = [_moment(event) for event in map(json.loads, events) if event["type"] == "job_resumed"]
    back = next((at for at in returns if at >= blow.at), None)
    until = next_start[0]["at"] if next_start else back or blow.at
    troubled = any(outage is not blow and outage.at <= until and blow.at <= outage.until for outage in outages)
    kind = blow.kind + OUTAGE if troubled else blow.kind
    if next_start:
        verdict.again[kind].append(next_start[0]["at"] - blow.at)
    if back is not None:
        verdict.put_back[kind].append(back - blow.at)


def _moment(event: dict[str, str]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()
