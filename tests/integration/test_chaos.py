"""A very small chaos run: real processes, real kills, and no lost job."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chaos.results import PROMISED

ROOT = Path(__file__).parents[2]
ZEROS = (*PROMISED, "doctor found")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_job_is_lost_or_run_twice_when_processes_are_killed() -> None:
    options = ["--seed", "11", "--jobs", "200", "--kills", "6", "--seconds", "8"]
    faults = "horse,worker,supervisor,tree,scheduler,broker"
    command = [sys.executable, "-m", "bench.chaos", *options, "--no-web", "--faults", faults]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220)
    counts = {name: re.search(rf"^{name} +(\d+)$", run.stdout, re.MULTILINE) for name in ZEROS}
    assert {name: found and found[1] for name, found in counts.items()} == dict.fromkeys(ZEROS, "0"), run.stdout
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^together +[56]$", run.stdout, re.MULTILINE), run.stdout
