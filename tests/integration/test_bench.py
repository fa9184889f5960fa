"""The benchmark fills queues, drives another checkout through its own processes, and leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack

import psutil
import pytest

from bench import server, systems
from bench.backlog import EMPTY_DATABASE, fill
from bench.checkout import Checkout
from bench.environments import ROOT
from bench.workbench import QUICK, USER, NotMeasured, Workbench, tree
from jobs.engine.states import Status
from tests.waiting import eventually


def test_another_checkout_serves_requests_and_runs_the_jobs_it_was_filled_with() -> None:
    with Workbench(QUICK) as bench:
        checkout = Checkout(bench, ROOT)
        with ExitStack() as stack:
            served = checkout.serve(stack)
            job = server.call(served.port, "POST", "/api/v1/jobs/greet", served.headers, b'{"name": "Ada"}')
            assert job["status"] == "pending"

        checkout.fill(5)
        assert checkout.completed() == 0
        with checkout.running():
            eventually(lambda: checkout.completed() == 5, "the jobs end")


def test_the_long_queue_is_filled_in_several_submissions() -> None:
    with Workbench(QUICK) as bench:
        client = bench.client(EMPTY_DATABASE)
        fill(client, 501)
        assert client.counts(USER)[Status.PENDING] == 501


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_everything_it_has_started(signum: signal.Signals) -> None:
    command = [sys.executable, "-m", "bench", "--only", "start", "--rounds", "1000"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as run:
        assert run.stderr
        while not (line := run.stderr.readline()).startswith("  start 1/1000"):
            assert line, "the run has ended"
        eventually(lambda: len(tree(run.pid)) > 5, "another instance starts")
        started = tree(run.pid)
        run.send_signal(signum)
        assert f"ended by {signum.name}" in run.stderr.read()
    assert run.returncode == 1
    assert psutil.wait_procs(started, 10)[1] == []


def test_a_process_that_ends_too_early_is_reported_with_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such luck')"]
    reported = pytest.raises(NotMeasured, match="ended unexpectedly: no such luck")
    with Workbench(QUICK) as bench, reported, bench.running(command, {}) as started:
        started.process.wait()


def test_a_whole_system_runs_jobs_and_its_cpu_time_is_known_by_process() -> None:
    with Workbench(QUICK) as bench, systems.running(systems.workhorse, bench, 1) as system:
        before = system.cpu()
        system.run(20)
        after = system.cpu()
        assert set(after) == {"web", "broker", "launcher", "supervisor", "worker", "zygote", "work horses"}
        assert after["work horses"] > before["work horses"]
        assert sum(after.values()) > sum(before.values())
