"""The faults, and the seeded plan of when to inject them."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from .traces import born
from .world import Server, World, children, family, kill

Candidate = TypeVar("Candidate", int, Server)

#: How often each fault is injected, relative to the others.
WEIGHTS = {"horse": 40, "zygote": 5, "worker": 25, "supervisor": 8, "tree": 8, "scheduler": 6, "web": 6}
#: Faults that take long or stop everything: their number in a quick run. A full run has ten times as many.
SELDOM = {"broker": 3, "broker-stop": 1, "deploy": 1}
ALL = (*WEIGHTS, *SELDOM)

BROKER_STOP_SECONDS = 20.0
DEPLOY_SIGNALS_AT = (0.0, 1.5, 5.0)
DEPLOY_KILL_AT = 30.0
NEVER = float("inf")
#: The time that a host needs to run jobs again after an outage.
RECOVERY_SECONDS = 5.0
#: The share of kills that hit a horse with a job.
HORSES_AT_WORK = 0.85
#: Descendants of a killed process must be dead within this time.
DEATH_SECONDS = 1.0


@dataclass(frozen=True)
class Fault:
    kind: str
    at: float
    #: A random number from 0 to 1. It decides which process is hit, and how long it is down.
    chance: float


@dataclass
class Injection:
    """A fault that was injected."""

    kind: str
    at: float
    pids: frozenset[int]
    #: The number of processes that outlived their killed parent by more than a second.
    survivors: int = 0
    #: The time until which the broker or all workers were away because of it; 0 for other faults.
    until: float = 0.0
    #: The seconds of a deploy from the first signal to the last exit.
    took: float = 0.0


def plan(seed: int, kinds: tuple[str, ...], kills: int, seconds: float, seldom_times: int) -> list[Fault]:
    """Plan `kills` faults over `seconds`. The seed decides their order and times."""
    chance = random.Random(seed ^ 0xC4A05)
    seldom = [kind for kind, times in SELDOM.items() if kind in kinds for _ in range(times * seldom_times)]
    frequent = [kind for kind in WEIGHTS if kind in kinds]
    seldom = seldom[:kills] if frequent else [chance.choice(seldom) for _ in range(kills)]
    weights = [WEIGHTS[kind] for kind in frequent]
    chosen = seldom + (chance.choices(frequent, weights, k=kills - len(seldom)) if frequent else [])
    chance.shuffle(chosen)
    times = sorted(chance.uniform(0, seconds) for _ in chosen)
    return [Fault(kind, at, chance.random()) for kind, at in zip(chosen, times, strict=True)]


@dataclass
class Injector:
    """Injects faults into a world."""

    world: World
    injections: list[Injection] = field(default_factory=list)
    #: Submits the jobs that a deploy interrupts, and waits until they run.
    before_deploy: Callable[[int], None] | None = None
    _background: list[threading.Thread] = field(default_factory=list)

    def inject(self, fault: Fault) -> bool:
        """Inject a fault. Return False if there was no process to hit."""
        actions: dict[str, Callable[[Fault], bool]] = {
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
        return actions[fault.kind](fault)

    def wait(self) -> None:
        for thread in self._background:
            thread.join()

    # --- workers -------------------------------------------------------------------------

    def _horse(self, fault: Fault) -> bool:
        """Kill a horse: mostly the oldest of a worker, which runs a job or is next, and seldom a warm one."""
        warm = [sorted(pid for pid in family(worker)[1:] if not children(pid)) for worker in self._workers()]
        horses = [pid for pids in warm for pid in (pids if fault.chance > HORSES_AT_WORK else pids[:1])]
        return bool(horses) and self._kill(fault, [_pick(horses, fault)])

    def _zygote(self, fault: Fault) -> bool:
        """Kill a zygote, which is the child of a worker that has children itself."""
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
        schedulers = [pid for host in self.world.hosts for pid in self.world.schedulers_of(host)]
        return bool(schedulers) and self._kill(fault, [_pick(schedulers, fault)])

    def _web(self, fault: Fault) -> bool:
        if self.world.web is None:
            return False
        processes = children(self.world.web.pid)
        return bool(processes) and self._kill(fault, [_pick(processes, fault)])

    def _host(self, fault: Fault) -> Server | None:
        alive = self._hosts_alive()
        return _pick(alive, fault) if alive else None

    def _hosts_alive(self) -> list[Server]:
        return [host for host in self.world.hosts if host.running and self.world.workers_of(host)]

    def _kill(self, fault: Fault, pids: list[int], host: Server | None = None) -> bool:
        rest = 0.5 + 2.5 * fault.chance
        if host is not None:
            host.rest(rest)
        hit = {relative: born(relative) for pid in pids for relative in family(pid)}
        injection = Injection(fault.kind, time.time(), frozenset(hit))
        if host is not None and self._hosts_alive() == [host]:
            injection.until = injection.at + rest + RECOVERY_SECONDS
        dead = [kill(pid) for pid in pids]
        if not any(dead):
            return False
        self.injections.append(injection)
        if fault.kind in ("horse", "zygote", "worker", "supervisor", "tree"):
            self._later(lambda: self._count_survivors(injection, hit))
        return True

    def _count_survivors(self, injection: Injection, hit: dict[int, int | None]) -> None:
        time.sleep(DEATH_SECONDS)
        injection.survivors = sum(1 for pid, birth in hit.items() if birth is not None and born(pid) == birth)

    # --- the broker ------------------------------------------------------------------------

    def _broker(self, fault: Fault) -> bool:
        if not self.world.broker.running:
            return False
        away = 1 + 14 * fault.chance
        self.world.broker.rest(away)
        now = time.time()
        self.injections.append(Injection(fault.kind, now, frozenset(), until=now + away + RECOVERY_SECONDS))
        return kill(self.world.broker.pid)

    def _broker_stop(self, fault: Fault) -> bool:
        pid = self.world.broker.pid
        if not self.world.broker.running or not kill(pid, signal.SIGSTOP):
            return False
        now = time.time()
        self.injections.append(
            Injection(fault.kind, now, frozenset(), until=now + BROKER_STOP_SECONDS + RECOVERY_SECONDS)
        )

        def resume() -> None:
            time.sleep(BROKER_STOP_SECONDS)
            kill(pid, signal.SIGCONT)

        self._later(resume)
        return True

    # --- deploys ---------------------------------------------------------------------------

    def _deploy(self, fault: Fault) -> bool:
        """Send SIGTERM to every process at once, as a platform does. Then start the new release."""
        servers = [server for server in self.world.servers if server is not self.world.broker and server.running]
        for server in servers:
            server.rest(NEVER)  # until the last of them has ended, even if the deploy begins late
        if self.before_deploy is not None:
            self.before_deploy(sum(injection.kind == "deploy" for injection in self.injections))
        injection = Injection(
            fault.kind, time.time(), frozenset(pid for server in servers for pid in family(server.pid))
        )
        self.injections.append(injection)
        began = time.monotonic()
        for at in DEPLOY_SIGNALS_AT:
            _wait_for_end(servers, began + at)
            self._signal_all(servers, signal.SIGTERM)
        _wait_for_end(servers, began + DEPLOY_KILL_AT)
        injection.took = time.monotonic() - began
        injection.until = time.time() + RECOVERY_SECONDS
        self._signal_all(servers, signal.SIGKILL)
        for server in servers:
            server.rest(0)
        return True

    def _signal_all(self, servers: list[Server], signum: signal.Signals) -> None:
        for pid in [pid for server in servers if server.running for pid in family(server.pid)]:
            kill(pid, signum)

    def _later(self, action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action, daemon=True)
        thread.start()
        self._background.append(thread)


def _pick(candidates: Sequence[Candidate], fault: Fault) -> Candidate:
    return candidates[int(fault.chance * len(candidates))]


def _wait_for_end(servers: list[Server], until: float) -> None:
    while time.monotonic() < until and any(server.running for server in servers):
        time.sleep(0.05)
