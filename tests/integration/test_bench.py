"""The benchmark fills queues and drives another checkout through its own processes."""

from __future__ import annotations

from contextlib import ExitStack

from bench import server
from bench.backlog import EMPTY_DATABASE, fill
from bench.checkout import Checkout
from bench.environments import ROOT
from bench.workbench import QUICK, USER, Workbench
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
