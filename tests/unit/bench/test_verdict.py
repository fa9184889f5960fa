"""The chaos harness blames a deploy only for interruptions that it caused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.chaos.faults import Injection
from bench.chaos.verdict import Verdict, judge_deploy
from bench.chaos.workload import DEPLOY_NUMBERS

ENTRY: Any = SimpleNamespace(wish=SimpleNamespace(number=DEPLOY_NUMBERS, params={"steps": 40, "seconds": 0.5}))
STARTS = [
    {"what": "started", "at": 100.0, "pid": 11, "ppid": 10, "attempt": 1},
    {"what": "started", "at": 107.0, "pid": 21, "ppid": 20, "attempt": 1},
]


def injection(kind: str, at: float, *pids: int, until: float = 0.0) -> Injection:
    return Injection(kind, at, frozenset(pids), until=until)


@pytest.mark.parametrize(
    ("injections", "blamed"),
    [
        ([injection("deploy", 103, 9, 10, 11, until=130)], True),
        ([injection("deploy", 200, until=230)], False),
        ([injection("zygote", 106.9, 10, 11), injection("deploy", 103, 9, 10, 11, until=130)], False),
        ([injection("broker", 104, until=120), injection("deploy", 103, 9, 10, 11, until=130)], False),
        ([injection("horse", 106.9, 12), injection("deploy", 103, 9, 10, 11, until=130)], True),
    ],
)
def test_a_deploy_is_blamed_for_interrupting_a_short_job_only_if_no_other_fault_did(
    injections: list[Injection], blamed: bool
) -> None:
    verdict = Verdict()
    judge_deploy(verdict, ENTRY, STARTS, injections)
    assert bool(verdict.violations) is blamed
