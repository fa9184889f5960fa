"""The zygote, as its worker sees it: the process that forks work horses ahead of need, so that no job waits for a fork.

It is a copy of the worker from before the worker had a connection: the catalogue is loaded, and there is one thread. It
keeps a few horses waiting for a job, sends the worker the descriptors of each, reaps them, and reports how they ended.
It dies with its worker, and its horses die with it.

A zygote can fork another one, a branch, which imports heavy modules before it forks horses of its own.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jobs.engine.processes import kill_family

from .horse import SocketChannel
from .horse_handle import Horse
from .zygote_process import NOTICE_BYTES, Modules, become_zygote

#: Horses that wait for a job. One is being forked while another runs; a second one covers a slow fork.
WARM_HORSES = 2
#: Seconds within which the zygote reports how a horse ended whose channel has closed.
NOTICE_SECONDS = 2.0
#: Seconds within which a horse that has reported its ending must end.
LEAVE_SECONDS = 0.5


@dataclass
class Zygote:
    """The worker's end."""

    control: socket.socket
    #: Names it in the error that its end raises.
    name: str
    _ready: deque[Horse] = field(default_factory=deque)
    _horses: dict[int, Horse] = field(default_factory=dict)
    #: Horses that have reported their ending and must end by themselves, with their deadline.
    _leaving: dict[int, float] = field(default_factory=dict)

    @classmethod
    def start(cls, main: Callable[[SocketChannel], None], groups: Sequence[Modules] = ()) -> Zygote:
        """Fork the zygote. Call this before the process has threads or connections.

        Args:
            main: called by each horse with its channel.
            groups: the modules that a branch may import.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            become_zygote(main, parent, theirs, groups)
        theirs.close()
        return cls._with_warm_horses(ours, f"the zygote (pid {pid})")

    @classmethod
    def _with_warm_horses(cls, control: socket.socket, name: str) -> Zygote:
        zygote = cls(control, name)
        for _ in range(WARM_HORSES):
            zygote._request_horse()
        return zygote

    def branch(self, number: int, modules: Modules) -> Zygote:
        """Have this zygote fork one that imports its `groups[number]`. Return at once: the imports may take seconds."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket.send_fds(self.control, [b"branch %d" % number], [theirs.fileno()])
        theirs.close()
        return self._with_warm_horses(ours, f"the zygote with {', '.join(modules)}")

    def retire(self) -> None:
        """End the zygote and its waiting horses. None of them may be at work."""
        for horse in self._horses.values():
            horse.close()
        self.control.close()

    @property
    def at_work(self) -> bool:
        """Return True while a horse that it forked has a job."""
        return not all(horse.idle for horse in self._horses.values())

    def is_ready(self, seconds: float) -> bool:
        """Return True once there is a horse, or False after `seconds`."""
        deadline = time.monotonic() + seconds
        while not self._ready and select.select([self.control], [], [], max(0.0, deadline - time.monotonic()))[0]:
            self._read_notice()
        return bool(self._ready)

    def wait_until_ready(self) -> None:
        """Return once there is a horse."""
        while not self._ready:
            self._read_notice()

    def take(self) -> Horse:
        """Return a horse that waits for its job. The zygote forks another one meanwhile."""
        self.wait_until_ready()
        horse = self._ready.popleft()
        horse.idle = False
        self._request_horse()
        return horse

    def read_notices(self) -> None:
        """Read what the zygote has reported, without waiting, and kill the horses that should have ended."""
        while select.select([self.control], [], [], 0)[0]:
            self._read_notice()
        for pid, deadline in list(self._leaving.items()):
            if time.monotonic() >= deadline:
                del self._leaving[pid]
                kill_family(pid)

    def describe_end(self, horse: Horse) -> str:
        """Describe how a horse ended that has closed its channel."""
        while horse.status is None and select.select([self.control], [], [], NOTICE_SECONDS)[0]:
            self._read_notice()
        if horse.status is None:
            return "cause unknown"
        if os.WIFSIGNALED(horse.status):
            return f"signal {signal.Signals(os.WTERMSIG(horse.status)).name}"
        return f"exit code {os.WEXITSTATUS(horse.status)}"

    def release(self, horse: Horse) -> None:
        """Close the worker's end of a horse whose execution is over."""
        self._horses.pop(horse.pid, None)
        if horse.status is None:
            self._leaving[horse.pid] = time.monotonic() + LEAVE_SECONDS
        horse.close()

    def _request_horse(self) -> None:
        self.control.send(b"fork")

    def _read_notice(self) -> None:
        data, descriptors, _flags, _address = socket.recv_fds(self.control, NOTICE_BYTES, 3)
        if not data:
            raise ConnectionResetError(f"{self.name} ended")
        kind, pid, *status = data.split()
        if kind == b"born":
            channel, stdout, stderr = descriptors
            horse = Horse(int(pid), socket.socket(fileno=channel), stdout, stderr)
            horse.channel.setblocking(False)
            os.set_blocking(stdout, False)
            os.set_blocking(stderr, False)
            self._horses[horse.pid] = horse
            self._ready.append(horse)
            return
        self._leaving.pop(int(pid), None)
        if dead := self._horses.get(int(pid)):
            dead.status = int(status[0])
            if dead in self._ready:
                # It died before it had a job: one fewer is waiting.
                self._ready.remove(dead)
                self.release(dead)
                self._request_horse()
