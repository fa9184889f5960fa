"""The faults, and the seeded plan in which they come."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from .witness import born
from .world import Server, World, children, family, kill

Candidate = TypeVar("Candidate", int, Server)

#: How often each fault comes, relative to the others, where nothing else fixes its number.
WEIGHTS = {"horse": 40, "zygote": 5, "worker": 25, "supervisor": 8, "tree": 8, "scheduler": 6, "web": 6}
#: These take long or stop everything: so many in a quick run, ten times as many in a full one.
SELDOM = {"broker": 3, "broker-stop": 1, "deploy": 1}
ALL = (*WEIGHTS, *SELDOM)

BROKER_STOP_SECONDS = 20.0
DEPLOY_SIGNALS_AT = (0.0, 1.5, 5.0)
DEPLOY_KILL_AT = 30.0
NEVER = float("inf")
#: What a host needs to be at work again after an outage.
RECOVERY_SECONDS = 5.0
#: The share of killed horses that are to be at work.
HORSES_AT_WORK = 0.85
#: Descendants of a killed process must be dead within this time.
DEATH_SECONDS = 1.0


@dataclass(frozen=True)
class Fault:
    kind: str
    at: float
    #: Decides which of the processes is hit, and how long it is down.
    dice: float


@dataclass
class Blow:
    """A fault that was dealt: when, and to which processes."""

    kind: str
    at: float
    pids: frozenset[int]
    #: Processes that should have died with the killed one, and lived on for more than a second.
    survivors: int = 0
    #: Until when the broker, or every worker, was away because of it; 0 for other faults.
    until: float = 0.0
    #: Seconds from the first signal to the last exit of a deploy.
    took: float = 0.0


def plan(seed: int, kinds: tuple[str, ...], kills: int, seconds: float, seldom_times: int) -> list[Fault]:
    """`kills` faults spread over `seconds`, in an order and at times that the seed decides."""
    dice = random.Random(seed ^ 0xC4A05)
    seldom = [kind for kind, times in SELDOM.items() if kind in kinds for _ in range(times * seldom_times)]
    frequent = [kind for kind in WEIGHTS if kind in kinds]
    seldom = seldom[:kills] if frequent else [dice.choice(seldom) for _ in range(kills)]
    weights = [WEIGHTS[kind] for kind in frequent]
    chosen = seldom + (dice.choices(frequent, weights, k=kills - len(seldom)) if frequent else [])
    dice.shuffle(chosen)
    times = sorted(dice.uniform(0, seconds) for _ in chosen)
    return [Fault(kind, at, dice.random()) for kind, at in zip(chosen, times, strict=True)]


@dataclass
class Hand:
    """Deals faults to a world."""

    world: World
    blows: list[Blow] = field(default_factory=list)
    #: Submits the jobs that a deploy is to interrupt, and waits until they run.
    before_deploy: Callable[[int], None] | None = None
    _background: list[threading.Thread] = field(default_factory=list)

    def deal(self, fault: Fault) -> bool:
        """False: there was nothing to hit at this moment."""
        deeds: dict[str, Callable[[Fault], bool]] = {
            "horse": self._horse,
            "zygote": self._zygote,
            "worker": self._worker,
            "supervisor": self._supervisor,
            "tree": self._tree,
            "scheduler": self._scheduler,
            "web": self._web,
            "broker": self._broker,
            "broker-stop": self._broker_stop,
            "deploy": self._deploy,
        }
        return deeds[fault.kind](fault)

    def wait(self) -> None:
        for thread in self._background:
            thread.join()

    # --- workers -------------------------------------------------------------------------

    def _horse(self, fault: Fault) -> bool:
        """The oldest one of a worker is at work, or next; seldom one that is kept warm."""
        warm = [sorted(pid for pid in family(worker)[1:] if not children(pid)) for worker in self._workers()]
        horses = [pid for pids in warm for pid in (pids if fault.dice > HORSES_AT_WORK else pids[:1])]
        return bool(horses) and self._kill(fault, [_pick(horses, fault)])

    def _zygote(self, fault: Fault) -> bool:
        """What a worker started that has children of its own: it forks the horses."""
        zygotes = [pid for worker in self._workers() for pid in children(worker) if children(pid)]
        return bool(zygotes) and self._kill(fault, [_pick(zygotes, fault)])

    def _worker(self, fault: Fault) -> bool:
        workers = self._workers()
        return bool(workers) and self._kill(fault, [_pick(workers, fault)])

    def _workers(self) -> list[int]:
        return [pid for host in self.world.hosts for pid in self.world.workers_of(host)]

    def _supervisor(self, fault: Fault) -> bool:
        host = self._host(fault)
        return host is not None and self._kill(fault, [host.pid], host)

    def _tree(self, fault: Fault) -> bool:
        host = self._host(fault)
        return host is not None and self._kill(fault, family(host.pid), host)

    def _scheduler(self, fault: Fault) -> bool:
        schedulers = [pid for host in self.world.hosts for pid in self.world.others_of(host)]
        return bool(schedulers) and self._kill(fault, [_pick(schedulers, fault)])

    def _web(self, fault: Fault) -> bool:
        if self.world.web is None:
            return False
        processes = children(self.world.web.pid)
        return bool(processes) and self._kill(fault, [_pick(processes, fault)])

    def _host(self, fault: Fault) -> Server | None:
        alive = [host for host in self.world.hosts if host.running and self.world.workers_of(host)]
        return _pick(alive, fault) if alive else None

    def _kill(self, fault: Fault, pids: list[int], host: Server | None = None) -> bool:
        if host is not None:
            host.rest(0.5 + 2.5 * fault.dice)
        hit = {relative: born(relative) for pid in pids for relative in family(pid)}
        blow = Blow(fault.kind, time.time(), frozenset(hit))
        dead = [kill(pid) for pid in pids]
        if not any(dead):
            return False
        self.blows.append(blow)
        if fault.kind in ("horse", "zygote", "worker", "supervisor", "tree"):
            self._later(lambda: self._count_survivors(blow, hit))
        return True

    def _count_survivors(self, blow: Blow, hit: dict[int, int | None]) -> None:
        time.sleep(DEATH_SECONDS)
        blow.survivors = sum(1 for pid, birth in hit.items() if birth is not None and born(pid) == birth)

    # --- the broker ------------------------------------------------------------------------

    def _broker(self, fault: Fault) -> bool:
        if not self.world.broker.running:
            return False
        away = 1 + 14 * fault.dice
        self.world.broker.rest(away)
        now = time.time()
        self.blows.append(Blow(fault.kind, now, frozenset(), until=now + away + RECOVERY_SECONDS))
        return kill(self.world.broker.pid)

    def _broker_stop(self, fault: Fault) -> bool:
        pid = self.world.broker.pid
        if not self.world.broker.running or not kill(pid, signal.SIGSTOP):
            return False
        now = time.time()
        self.blows.append(Blow(fault.kind, now, frozenset(), until=now + BROKER_STOP_SECONDS + RECOVERY_SECONDS))

        def go_on() -> None:
            time.sleep(BROKER_STOP_SECONDS)
            kill(pid, signal.SIGCONT)

        self._later(go_on)
        return True

    # --- deploys ---------------------------------------------------------------------------

    def _deploy(self, fault: Fault) -> bool:
        """SIGTERM to every process at once, as a platform does it; then the new release starts."""
        servers = [server for server in self.world.servers if server is not self.world.broker and server.running]
        for server in servers:
            server.rest(NEVER)  # until the last of them has ended, however long it takes for the deploy to begin
        if self.before_deploy is not None:
            self.before_deploy(sum(blow.kind == "deploy" for blow in self.blows))
        blow = Blow(fault.kind, time.time(), frozenset(pid for server in servers for pid in family(server.pid)))
        self.blows.append(blow)
        began = time.monotonic()
        for at in DEPLOY_SIGNALS_AT:
            _wait_for_end(servers, began + at)
            self._signal_all(servers, signal.SIGTERM)
        _wait_for_end(servers, began + DEPLOY_KILL_AT)
        blow.took = time.monotonic() - began
        blow.until = time.time() + RECOVERY_SECONDS
        self._signal_all(servers, signal.SIGKILL)
        for server in servers:
            server.rest(0)
        return True

    def _signal_all(self, servers: list[Server], signum: signal.Signals) -> None:
        for pid in [pid for server in servers if server.running for pid in family(server.pid)]:
            kill(pid, signum)

    def _later(self, deed: Callable[[], None]) -> None:
        thread = threading.Thread(target=deed, daemon=True)
        thread.start()
        self._background.append(thread)


def _pick(candidates: Sequence[Candidate], fault: Fault) -> Candidate:
    return candidates[int(fault.dice * len(candidates))]


def _wait_for_end(servers: list[Server], until: float) -> None:
    while time.monotonic() < until and any(server.running for server in servers):
        time.sleep(0.05)
