"""One run, from the first process to the verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import UNREACHABLE

from .client_side import Clients, poll_once
from .faults import Fault, Injector, plan
from .interfaces import ClientInterface, HttpInterface, Interface
from .ledger import Ledger
from .results import table
from .verdict import Verdict, judge
from .workload import wishes
from .world import World

START_PATIENCE_SECONDS = 60.0
#: When no job has ended for this long, the run is over: its jobs have ended or never will.
DRAIN_PATIENCE_SECONDS = 40.0
FAULT_PATIENCE_SECONDS = 15.0
#: The pause between two faults, so that delayed ones don't all hit a job that has just started.
PAUSE_SECONDS = 0.3


@dataclass(frozen=True)
class Options:
    seed: int
    jobs: int
    kills: int
    seconds: float
    faults: tuple[str, ...]
    seldom_times: int
    hosts: int
    workers: int
    web_port: int | None
    #: The lengths, in seconds, of the jobs that are running when a deploy begins.
    deploy_lengths: tuple[float, ...]


def run(options: Options, folder: Path) -> tuple[str, bool]:
    """Run the experiment. Return its table, and True if every promise was kept."""
    world = World.build(folder, hosts=options.hosts, workers=options.workers, web_port=options.web_port)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(world, done), daemon=True)
    try:
        keeper.start()
        interface = _open_interface(world, options)
        ledger, injector = Ledger(), Injector(world)
        clients = Clients(world, interface, ledger, wishes(options.seed, options.jobs), options.seconds, options.jobs)
        injector.before_deploy = lambda nth: clients.start_before_deploy(nth, options.deploy_lengths)
        clients.start()
        _inject_all(plan(options.seed, options.faults, options.kills, options.seconds, options.seldom_times), injector)
        _drain(clients, ledger)
        clients.stop()
        with world.connect() as connection:
            poll_once(connection, ledger, [entry for entry in ledger.snapshot() if entry.job_ids])
        verdict = judge(world, ledger, injector.injections)
        _check_run(verdict, clients, injector)
        findings = _examine(world)
        return table(verdict, ledger, injector.injections, findings), not verdict.violations and not findings
    finally:
        done.set()
        keeper.join()
        world.end()


def _keep(world: World, done: threading.Event) -> None:
    while not done.wait(0.1):
        world.keep_running()


def _open_interface(world: World, options: Options) -> Interface:
    with world.connect() as connection:
        _eventually(lambda: _answers(connection.ping))
        api_key = Accounts(connection, world.settings).ensure_admin()
        interface = HttpInterface(options.web_port, api_key) if options.web_port else ClientInterface(world.settings)
        wanted = options.hosts * options.workers
        _eventually(lambda: _answers(lambda: world.learn_worker_pids(connection)) and len(world.worker_pids) >= wanted)
    return interface


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except UNREACHABLE:
        return False
    return True


def _eventually(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError("the processes of this run did not start; see the logs in its folder")
        time.sleep(0.1)


def _inject_all(faults: list[Fault], injector: Injector) -> None:
    began = time.monotonic()
    for fault in faults:
        time.sleep(max(0.0, began + fault.at - time.monotonic()))
        # A fault without a target waits for one, so that the number of kills is as planned.
        deadline = time.monotonic() + FAULT_PATIENCE_SECONDS
        while not injector.inject(fault) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(PAUSE_SECONDS)
    injector.wait()


def _drain(clients: Clients, ledger: Ledger) -> None:
    """Wait until all jobs have ended, or no job ends any longer."""
    left, since = -1, time.monotonic()
    while clients.submitting or ledger.unfinished():
        now = len(ledger.unfinished())
        if now != left or clients.submitting:
            left, since = now, time.monotonic()
        if time.monotonic() - since > DRAIN_PATIENCE_SECONDS:
            return
        time.sleep(0.2)


def _check_run(verdict: Verdict, clients: Clients, injector: Injector) -> None:
    for error in clients.errors:
        verdict.add_violation("THE RUN ITSELF FAILED", error)
    for injection in injector.injections:
        if injection.survivors:
            verdict.add_violation(
                "OUTLIVED ITS PARENT", f"{injection.survivors} processes, after a kill of a {injection.kind}"
            )
        if injection.took > 25.5:
            verdict.add_violation("LATE EXIT", f"{injection.took:.1f} s after the first SIGTERM")


def _examine(world: World) -> list[str]:
    try:
        from jobs.engine.operate.doctor import Doctor
    except ImportError:
        return []
    from jobs.engine.broker.store.store import Store

    with world.connect() as connection:
        return [str(finding) for finding in Doctor(Store(connection)).examine()]
