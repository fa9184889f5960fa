"""A job pays for the modules that it preloads, and not for those of other job types."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.integration.harness import Harness, alive
from tests.waiting import eventually


@pytest.mark.usefixtures("workers")
def test_a_preloaded_module_is_imported_once_and_only_for_its_jobs(harness: Harness) -> None:
    first, second = (harness.run("look-for-heavy-module").result for _ in range(2))
    loaded, lean_zygote = harness.run("look-for-heavy-module-in-vain").result

    assert first == second == [True, first[1]]
    assert (loaded, lean_zygote != first[1]) == (False, True)


@pytest.mark.usefixtures("workers")
def test_a_job_whose_modules_zygote_is_killed_runs_again(harness: Harness) -> None:
    _loaded, zygote = harness.run("look-for-heavy-module").result
    job = harness.running(harness.submit("look-for-heavy-module", seconds=1.0))

    os.kill(zygote, signal.SIGKILL)
    again = harness.ended(job)

    assert (again.status, again.attempt, again.resumed) == ("completed", 1, 1)
    assert again.result[1] != zygote and not alive(zygote)


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_worker_keeps_its_lease_while_modules_are_imported(harness: Harness) -> None:
    cancelled = harness.running(harness.submit("use-slow-module"))
    asked_at = time.monotonic()
    harness.client.cancel(cancelled.job_id)

    assert harness.ended(cancelled).status == "cancelled"
    assert time.monotonic() - asked_at < 5

    job = harness.run("use-slow-module")

    # Its own timeout of 5 s began with its process.
    assert (job.status, job.result, job.attempt, job.resumed) == ("completed", True, 1, 0)


def test_a_deploy_puts_back_a_job_whose_modules_are_still_imported(
    harness: Harness, workers: subprocess.Popen[bytes]
) -> None:
    harness.end(workers)
    old = harness.start_workers()
    job = harness.running(harness.submit("use-slow-module"))

    old.send_signal(signal.SIGTERM)
    old.wait(harness.settings.shutdown_grace)
    put_back = harness.client.find(job.job_id)

    assert (put_back.status, put_back.attempt, put_back.resumed) == ("pending", 1, 1)
    assert harness.client.store.connection.zcard("wh:leases") == 0
    harness.client.cancel(job.job_id)
    eventually(lambda: harness.client.find(job.job_id).status == "cancelled", "nothing is left to run")
