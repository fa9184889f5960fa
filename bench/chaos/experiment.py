"""One run, from the first process to the verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import UNREACHABLE

from .client_side import Clients, look
from .doors import ClientDoor, Door, HttpDoor
from .faults import Fault, Hand, plan
from .ledger import Ledger
from .results import table
from .verdict import Verdict, judge
from .workload import wishes
from .world import World

START_PATIENCE_SECONDS = 60.0
#: The run has drained, or never will, when nothing has ended for this long.
DRAIN_PATIENCE_SECONDS = 40.0
FAULT_PATIENCE_SECONDS = 15.0
#: Between two faults, so that late ones don't all hit the job that has just been started.
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
    #: Seconds that the jobs take which a deploy finds running.
    deploy_lengths: tuple[float, ...]


def run(options: Options, folder: Path) -> tuple[str, bool]:
    """Run it. Answers the table, and whether every promise held."""
    world = World.build(folder, hosts=options.hosts, workers=options.workers, web_port=options.web_port)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(world, done), daemon=True)
    try:
        keeper.start()
        door = _open_door(world, options)
        ledger, hand = Ledger(), Hand(world)
        clients = Clients(world, door, ledger, wishes(options.seed, options.jobs), options.seconds, options.jobs)
        hand.before_deploy = lambda nth: clients.start_before_deploy(nth, options.deploy_lengths)
        clients.start()
        _deal(plan(options.seed, options.faults, options.kills, options.seconds, options.seldom_times), hand)
        _drain(clients, ledger)
        clients.stop()
        with world.connect() as connection:
            look(connection, ledger, [entry for entry in ledger.snapshot() if entry.job_ids])
        verdict = judge(world, ledger, hand.blows)
        _check_run(verdict, clients, hand)
        findings = _examine(world)
        return table(verdict, ledger, hand.blows, findings), not verdict.violations and not findings
    finally:
        done.set()
        keeper.join()
        world.end()


def _keep(world: World, done: threading.Event) -> None:
    while not done.wait(0.1):
        world.keep_running()


def _open_door(world: World, options: Options) -> Door:
    with world.connect() as connection:
        _eventually(lambda: _answers(connection.ping))
        api_key = Accounts(connection, world.settings).ensure_admin()
        door = HttpDoor(options.web_port, api_key) if options.web_port else ClientDoor(world.settings)
        wanted = options.hosts * options.workers
        _eventually(lambda: _answers(lambda: world.learn_worker_pids(connection)) and len(world.worker_pids) >= wanted)
    return door


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
            raise TimeoutError("the processes of this run did not come up; see the logs in its folder")
        time.sleep(0.1)


def _deal(faults: list[Fault], hand: Hand) -> None:
    began = time.monotonic()
    for fault in faults:
        time.sleep(max(0.0, began + fault.at - time.monotonic()))
        # A fault that finds nothing to hit waits for it: the number of kills is part of the run.
        deadline = time.monotonic() + FAULT_PATIENCE_SECONDS
        while not hand.deal(fault) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(PAUSE_SECONDS)
    hand.wait()


def _drain(clients: Clients, ledger: Ledger) -> None:
    """Wait until everything has ended, or nothing more ends."""
    left, since = -1, time.monotonic()
    while clients.submitting or ledger.unfinished():
        now = len(ledger.unfinished())
        if now != left or clients.submitting:
            left, since = now, time.monotonic()
        if time.monotonic() - since > DRAIN_PATIENCE_SECONDS:
            return
        time.sleep(0.2)


def _check_run(verdict: Verdict, clients: Clients, hand: Hand) -> None:
    for error in clients.errors:
        verdict.accuse("THE RUN ITSELF FAILED", error)
    for blow in hand.blows:
        if blow.survivors:
            verdict.accuse("OUTLIVED ITS PARENT", f"{blow.survivors} processes, after a kill of a {blow.kind}")
        if blow.took > 25.5:
            verdict.accuse("LATE EXIT", f"{blow.took:.1f} s after the first SIGTERM")


def _examine(world: World) -> list[str]:
    try:
        from jobs.engine.operate.doctor import Doctor
    except ImportError:
        return []
    from jobs.engine.broker.store.store import Store

    with world.connect() as connection:
        return [str(finding) for finding in Doctor(Store(connection)).examine()]
