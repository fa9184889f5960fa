"""CPU time belongs to the process that spent it, whether or not that process has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.footprint import per_job
from bench.usage import CpuTime, by_role, cpu_seconds, cpu_times, descendant, pss_mebibytes
from bench.workbench import NotMeasured
from tests.waiting import eventually

#: A parent whose first child has ended after 0.3 seconds of CPU time, and whose second one lives.
FAMILY = """
import subprocess, sys, time
busy = "import time; end = time.process_time() + 0.3\\nwhile time.process_time() < end: pass"
subprocess.run([sys.executable, "-c", busy])
second = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "the-second-child"])
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def family() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout
        parent.stdout.readline()
        yield parent.pid
        os.killpg(parent.pid, 9)


def test_the_time_of_an_ended_process_belongs_to_its_own_role() -> None:
    times = [CpuTime(0, 1.0, 0.0), CpuTime(1, 2.0, 0.5), CpuTime(2, 4.0, 30.0), CpuTime(3, 8.0, 0.0)]
    assert by_role(times, ["supervisor", "worker", "zygote", "horses"]) == {
        "supervisor": 1.0,
        "worker": 2.0,
        "zygote": 4.5,
        "horses": 38.0,
    }


def test_the_last_role_has_the_rest_of_the_tree() -> None:
    times = [CpuTime(0, 1.0, 0.25), CpuTime(1, 2.0, 0.5), CpuTime(2, 4.0, 0.0)]
    assert by_role(times, ["web"]) == {"web": 7.75}
    assert by_role(times, ["worker", "children"]) == {"worker": 1.0, "children": 6.75}


def test_time_is_divided_by_the_jobs_that_ran_between_two_readings() -> None:
    before, after = {"worker": 1.0, "web": 2.0}, {"worker": 1.5, "web": 2.2, "horses": 0.3}
    found = per_job(before, after, 100)
    assert found == pytest.approx({"all processes": 10.0, "worker": 5.0, "web": 2.0, "horses": 3.0})


def test_the_cpu_time_of_a_child_that_has_ended_is_read(family: int) -> None:
    parent, *children = cpu_times(family)
    assert parent.depth == 0
    assert parent.waited >= 0.3
    assert [each.depth for each in children] == [1]
    assert cpu_seconds(family) >= 0.3


def test_the_memory_of_a_process_includes_its_children(family: int) -> None:
    child = descendant(family, "the-second-child")
    assert pss_mebibytes([family]) > pss_mebibytes([child]) > 1


def test_a_program_that_was_not_started_is_reported(family: int) -> None:
    with pytest.raises(NotMeasured, match="has started no gunicorn"):
        descendant(family, "gunicorn")


def test_a_process_that_has_ended_uses_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        eventually(lambda: process.poll() is not None, "the process ends")
    assert pss_mebibytes([process.pid]) == 0
