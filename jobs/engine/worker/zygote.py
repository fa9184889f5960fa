"""The zygote: the process that forks work horses ahead of need, so that no job waits for a fork.

It is a copy of the worker from before the worker spoke to anybody: the catalogue is loaded, there is one thread and no
connection. It keeps a few horses waiting for a job, hands the worker the descriptors of each, reaps them, and tells
how they ended. It dies with its worker, and its horses die with it.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from jobs.engine.processes import (
    adopt_orphans,
    die_with_parent,
    end_children_but,
    kill_family,
    kill_group,
    use_huge_pages,
)

from .at_fork import fork_hooks
from .horse import CANCEL_SIGNAL, SocketChannel, become_horse, outlive_the_stop_of_others, prepare_output

logger = logging.getLogger("workhorse")

#: Horses that wait for a job. One is on its way while another runs; a second one rides out a slow fork.
WARM_HORSES = 2
NOTICE_BYTES = 256
#: Seconds in which the zygote tells how a horse ended whose channel has closed.
NOTICE_SECONDS = 2.0
#: Seconds in which a horse that has told its outcome must be gone.
LEAVE_SECONDS = 0.5


@dataclass
class Horse:
    """A horse as its worker sees it: the process, its channel, and the read ends of what it prints."""

    pid: int
    channel: socket.socket
    stdout: int
    stderr: int
    #: The wait status, once the zygote has told it.
    status: int | None = None

    def send(self, message: dict[str, Any]) -> None:
        self.channel.setblocking(True)
        try:
            self.channel.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # it is dead; its closed channel says so to whoever waits for it
        finally:
            self.channel.setblocking(False)

    def ask_to_stop(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, CANCEL_SIGNAL)

    def kill(self) -> None:
        """End the process and everything it started."""
        if self.status is None:
            kill_family(self.pid)

    def close(self) -> None:
        self.channel.close()
        os.close(self.stdout)
        os.close(self.stderr)


@dataclass
class Zygote:
    """The worker's end."""

    control: socket.socket
    pid: int
    _ready: deque[Horse] = field(default_factory=deque)
    _horses: dict[int, Horse] = field(default_factory=dict)
    #: Horses that have told their outcome and are to end by themselves, and until when.
    _leaving: dict[int, float] = field(default_factory=dict)

    @classmethod
    def start(cls, main: Callable[[SocketChannel], None], preload: Iterable[str] = ()) -> Zygote:
        """Fork it. To be called before this process has threads or connections.

        Args:
            main: what each horse does.
            preload: modules that it imports once, so that no horse has to.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _be_zygote(main, parent, theirs, preload)
        theirs.close()
        zygote = cls(ours, pid)
        for _ in range(WARM_HORSES):
            zygote._order_horse()
        return zygote

    def wait_until_ready(self) -> None:
        """Return once there is a horse: what a job preloads may take longer to import than a lease lasts."""
        while not self._ready:
            self._listen()

    def take(self) -> Horse:
        """A horse that waits for its job. Another one is forked meanwhile."""
        self.wait_until_ready()
        horse = self._ready.popleft()
        self._order_horse()
        return horse

    def hear(self) -> None:
        """Take in what the zygote has said, without waiting, and end the horses that should have ended."""
        while select.select([self.control], [], [], 0)[0]:
            self._listen()
        for pid, deadline in list(self._leaving.items()):
            if time.monotonic() >= deadline:
                del self._leaving[pid]
                kill_family(pid)

    def how_it_ended(self, horse: Horse) -> str:
        """How a horse ended that has closed its channel."""
        while horse.status is None and select.select([self.control], [], [], NOTICE_SECONDS)[0]:
            self._listen()
        if horse.status is None:
            return "nobody knows how"
        if os.WIFSIGNALED(horse.status):
            return f"signal {signal.Signals(os.WTERMSIG(horse.status)).name}"
        return f"exit code {os.WEXITSTATUS(horse.status)}"

    def let_go(self, horse: Horse) -> None:
        self._horses.pop(horse.pid, None)
        if horse.status is None:
            self._leaving[horse.pid] = time.monotonic() + LEAVE_SECONDS
        horse.close()

    def _order_horse(self) -> None:
        self.control.send(b"fork")

    def _listen(self) -> None:
        data, descriptors, _flags, _address = socket.recv_fds(self.control, NOTICE_BYTES, 3)
        if not data:
            raise ConnectionResetError(f"the zygote (pid {self.pid}) ended")
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
                # It died before it had a job; there is one fewer waiting.
                self._ready.remove(dead)
                self.let_go(dead)
                self._order_horse()


def _be_zygote(
    main: Callable[[SocketChannel], None], parent: int, control: socket.socket, preload: Iterable[str]
) -> NoReturn:
    try:
        die_with_parent(parent)
        adopt_orphans()
        # The worker decides when this ends; a platform's signal goes to every process at once.
        outlive_the_stop_of_others()
        prepare_output()
        for module in preload:
            _import(module)
        gc.collect()
        use_huge_pages()
        # What is alive now stays shared with every horse: no collection touches it.
        gc.freeze()
        if threading.active_count() == 1:
            fork_hooks.skip()
        _serve(main, control)
    finally:
        os._exit(0)


def _serve(main: Callable[[SocketChannel], None], control: socket.socket) -> None:
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, _note)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    horses: set[int] = set()
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if control.fileno() in ready:
            if not control.recv(NOTICE_BYTES):
                return
            horses.add(_fork_horse(main, control, (woken, wake)))
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 1024)
            _reap(horses, control)


def _import(module: str) -> None:
    try:
        import_module(module)
    except Exception:
        # The job that needs it will say so.
        logger.exception("%r of a job's preload can't be imported", module)


def _note(_signum: int, _frame: FrameType | None) -> None:
    return None


def _fork_horse(main: Callable[[SocketChannel], None], control: socket.socket, ours: tuple[int, ...]) -> int:
    worker_end, horse_end = socket.socketpair()
    stdout, horse_stdout = os.pipe()
    stderr, horse_stderr = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        worker_end.close()
        control.close()
        for descriptor in (stdout, stderr, *ours):
            os.close(descriptor)
        become_horse(main, parent, horse_end, horse_stdout, horse_stderr)
    socket.send_fds(control, [b"born %d" % pid], [worker_end.fileno(), stdout, stderr])
    for end in (worker_end, horse_end):
        end.close()
    for descriptor in (stdout, stderr, horse_stdout, horse_stderr):
        os.close(descriptor)
    return pid


def _reap(horses: set[int], control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if pid in horses:
            horses.discard(pid)
            # Nothing that it started outlives it: its group goes, and who had left the group is our child now.
            kill_group(pid)
            end_children_but(horses)
            control.send(b"died %d %d" % (pid, status))
