"""The doctor's findings: how they are printed."""

from __future__ import annotations

import pytest

from jobs.engine.operate.findings import Damage, Finding, Subject, as_bytes, as_text


@pytest.mark.parametrize(
    ("subject", "printed"),
    [
        (Subject("job", "j1"), "in_no_list: job j1: it is queued"),
        (Subject("hold", "wh:leases", "j1:e1"), "in_no_list: wh:leases: it is queued"),
        (Subject("job", as_text(b"\xff")), "in_no_list: job \\xff: it is queued"),
    ],
)
def test_a_finding_names_its_damage_its_subject_and_a_detail(subject: Subject, printed: str) -> None:
    assert str(Finding(Damage.IN_NO_LIST, subject, "it is queued")) == printed


@pytest.mark.parametrize("name", [b"wh:leases", "wh:jobs:ü".encode(), b"\xff:\x00"])
def test_any_name_becomes_text_and_the_same_bytes_again(name: bytes) -> None:
    assert as_bytes(as_text(name)) == name
