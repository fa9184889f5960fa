"""The chaos harness accuses a deploy of what it did, and of nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.chaos.faults import Blow
from bench.chaos.verdict import Verdict, judge_deploy
from bench.chaos.workload import DEPLOY_NUMBERS

ENTRY: Any = SimpleNamespace(wish=SimpleNamespace(number=DEPLOY_NUMBERS, params={"steps": 40, "seconds": 0.5}))
STARTS = [
    {"what": "started", "at": 100.0, "pid": 11, "ppid": 10, "attempt": 1},
    {"what": "started", "at": 107.0, "pid": 21, "ppid": 20, "attempt": 1},
]


def blow(kind: str, at: float, *pids: int, until: float = 0.0) -> Blow:
    return Blow(kind, at, frozenset(pids), until=until)


@pytest.mark.parametrize(
    ("blows", "accused"),
    [
        ([blow("deploy", 103, 9, 10, 11, until=130)], True),
        ([blow("deploy", 200, until=230)], False),
        ([blow("zygote", 106.9, 10, 11), blow("deploy", 103, 9, 10, 11, until=130)], False),
        ([blow("broker", 104, until=120), blow("deploy", 103, 9, 10, 11, until=130)], False),
        ([blow("horse", 106.9, 12), blow("deploy", 103, 9, 10, 11, until=130)], True),
    ],
)
def test_a_deploy_is_accused_of_interrupting_a_short_job_only_if_no_other_fault_did(
    blows: list[Blow], accused: bool
) -> None:
    verdict = Verdict()
    judge_deploy(verdict, ENTRY, STARTS, blows)
    assert bool(verdict.violations) is accused
