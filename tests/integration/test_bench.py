"""The benchmark drives another checkout through its own processes."""

from __future__ import annotations

from contextlib import ExitStack

from bench import server
from bench.checkout import Checkout
from bench.environments import ROOT
from bench.workbench import QUICK, Workbench
from tests.waiting import eventually


def test_another_checkout_serves_requests_and_runs_the_jobs_it_was_filled_with() -> None:
    with Workbench(QUICK) as bench:
        checkout = Checkout(bench, ROOT)
        with ExitStack() as stack:
            served = checkout.serve(stack)
            job = server.call(served.port, "POST", "/api/v1/jobs/greet", served.headers, b'{"name": "Ada"}')
            assert job["status"] == "pending"

        checkout.fill(5)
        assert checkout.waiting() == 5
        with checkout.running():
            eventually(lambda: checkout.completed() == 5, "the jobs end")
        assert checkout.waiting() == 0
