"""The zygote's own process: fork horses when the worker asks for them, reap them, and report how they ended.

For a job type with heavy modules the worker asks for a branch: a zygote of its own, which is forked from this one,
imports the modules once, and serves the worker over a socket of its own.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

from jobs.engine.processes import adopt_orphans, die_with_parent, end_children_except, kill_group, use_huge_pages

from .at_fork import fork_hooks
from .horse import SocketChannel, become_horse, ignore_stop_signals, prepare_output

logger = logging.getLogger("workhorse")

#: Bytes of the longest notice between the zygote and its worker.
NOTICE_BYTES = 256

#: The names of modules that a job type preloads.
Modules = tuple[str, ...]


def become_zygote(
    main: Callable[[SocketChannel], None],
    parent: int,
    control: socket.socket,
    groups: Sequence[Modules] = (),
    modules: Modules = (),
) -> NoReturn:
    """Turn this freshly forked process into a zygote whose horses call `main` with their channel.

    Args:
        groups: the modules that a branch of this zygote may import.
        modules: those that this zygote imports before it forks a horse.
    """
    try:
        die_with_parent(parent)
        adopt_orphans()
        # The worker decides when this ends; a platform's signal goes to every process at once.
        ignore_stop_signals()
        prepare_output()
        for module in modules:
            _import(module)
        gc.collect()
        use_huge_pages()
        # Every object that exists now stays shared with the horses: no collection writes to it.
        gc.freeze()
        if threading.active_count() == 1:
            fork_hooks.skip()
        _serve(main, control, groups)
    finally:
        os._exit(0)


def _serve(main: Callable[[SocketChannel], None], control: socket.socket, groups: Sequence[Modules]) -> None:
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, _note)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    horses: set[int] = set()
    branches: set[int] = set()
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if control.fileno() in ready:
            order, descriptors, _flags, _address = socket.recv_fds(control, NOTICE_BYTES, 1)
            if not order:
                return
            if descriptors:
                modules = groups[int(order.split()[1])]
                branches.add(_fork_branch(main, control, (woken, wake), descriptors[0], modules))
            else:
                horses.add(_fork_horse(main, control, (woken, wake)))
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 1024)
            _reap(horses, branches, control)


def _import(module: str) -> None:
    try:
        import_module(module)
    except Exception:
        # The job that needs it will fail with the same error.
        logger.exception("%r in a job's preload can't be imported", module)


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


def _fork_branch(
    main: Callable[[SocketChannel], None],
    control: socket.socket,
    ours: tuple[int, ...],
    descriptor: int,
    modules: Modules,
) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        control.close()
        for end in ours:
            os.close(end)
        # Its modules may start threads: it decides for itself whether the hooks can be skipped.
        fork_hooks.restore()
        become_zygote(main, parent, socket.socket(fileno=descriptor), modules=modules)
    os.close(descriptor)
    return pid


def _reap(horses: set[int], branches: set[int], control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        branches.discard(pid)
        if pid in horses:
            horses.discard(pid)
            # Nothing that it started outlives it: its group is killed, and a process that left the group is our child.
            kill_group(pid)
            end_children_except(horses | branches)
            control.send(b"died %d %d" % (pid, status))
