"""Everything on one machine: the Procfile's web and worker lines, around the embedded broker.

    python -m jobs.engine.local

The broker starts first and stops last, after the workers have put back what they could not finish.
Ends with 0 after Ctrl-C or SIGTERM, and with something else if one of the processes ended by itself.
"""

from __future__ import annotations

import io
import os
import queue
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import honcho.manager
from honcho.environ import parse_procfile
from honcho.printer import Printer
from honcho.process import Popen, Process

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.broker.safety import warn_about
from jobs.engine.errors import CannotStart, WorkhorseError
from jobs.engine.processes import die_with_parent
from jobs.engine.settings import Settings

from .embedded_broker import EmbeddedBroker

ROOT = Path(__file__).resolve().parents[3]

#: Lines of the Procfile that are for a platform's deployments.
NOT_RUN_HERE = {"release"}

MAX_PORT = 65_535
PORT_PATIENCE_SECONDS = 3.0
READY_PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1
#: Between the end of the grace time and SIGKILL.
KILL_PAUSE_SECONDS = 5.0
#: For what is still to be printed at the end, if somebody reads.
LAST_WORDS_SECONDS = 2.0

#: What honcho.manager.Manager.loop (2.0.0) leaves as its return code after Ctrl-C or SIGTERM.
ASKED_TO_STOP = {130, 143}

Say = Callable[[str], None]


def main(procfile: Path = ROOT / "Procfile") -> int:
    """Run until Ctrl-C, SIGTERM or the end of one of the processes. Answers the exit code."""
    # Until honcho listens for it, SIGTERM must unwind as Ctrl-C does: else the broker would be left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        return run(Settings.load(), procfile)
    except WorkhorseError as error:
        print(error.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def run(settings: Settings, procfile: Path) -> int:
    """Start everything, wait for its end, and stop what is left in order."""
    refuse_busy_port(settings.port)
    with SteadfastPrinter() as printer, broker(settings, printer.say):
        key = prepare(settings, printer.say)
        processes = Processes(printer, settings.shutdown_grace, partial(announce, settings, key, printer.say))
        for name, line in parse_procfile(procfile.read_text()).processes.items():
            if name not in NOT_RUN_HERE:
                processes.add_process(name, without_shell(line), env=environment(settings), cwd=str(procfile.parent))
        processes.loop()
        return exit_code(processes.returncode)


def refuse_busy_port(port: int) -> None:
    """Raises CannotStart, naming the fix, if nothing can listen on the port.

    Waits a little: the processes of an instance that was killed take a moment to notice.
    """
    deadline = time.monotonic() + PORT_PATIENCE_SECONDS
    while (trouble := _busy(port)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if trouble:
        raise CannotStart(
            f"Port {port} can't be used: {trouble}. Stop what holds it (perhaps another instance), "
            f"or choose another port: make run PORT={port + 1 if port < MAX_PORT else port - 1}"
        )


def _busy(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 # as gunicorn will; nothing is accepted
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return None


def broker(settings: Settings, say: Say) -> AbstractContextManager[Any]:
    """The embedded broker, unless REDIS_URL names one that is somebody else's to run."""
    return nullcontext() if settings.redis_url else EmbeddedBroker(settings, say)


def prepare(settings: Settings, say: Say) -> str:
    """See to it that there is an administrator, and say what in the configuration endangers jobs or accounts.

    Returns:
        What to say of the administrator's key: the key itself in the start that makes it, later where it is.

    Raises:
        BrokerUnavailable: if the broker can't be reached.
    """
    kept = settings.data_dir / "admin_api_key"
    is_new = not kept.exists()
    with connect(settings) as connection, broker_errors():
        key = Accounts(connection, settings).ensure_admin()
        for sentence in [*settings.warnings(), *warn_about(connection)]:
            say(f"WARNING: {sentence}")
    if settings.admin_api_key:
        return "the value of ADMIN_API_KEY"
    return f"{key} (shown this once, kept in {kept})" if is_new else f"in {kept}"


def environment(settings: Settings) -> dict[str, str]:
    """What the processes are told: the same settings, and the programs of this Python first."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "PORT": str(settings.port),
        "DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }


def without_shell(line: str) -> str:
    """Let a line's program take the shell's place, where the line is one program: signals reach it at first hand."""
    first = line.split(maxsplit=1)[0]
    return line if "=" in first or not set(line).isdisjoint(";&|") else f"exec {line}"


def exit_code(code: int | None) -> int:
    """0 if we were asked to stop; a process that ended by itself is a failure even if it ended with 0."""
    if code in ASKED_TO_STOP:
        return 0
    return code if code and code > 0 else 1


# --- the processes -----------------------------------------------------------------


class Processes(honcho.manager.Manager):  # type: ignore[misc] # honcho has no types
    """honcho's manager, which stops all when one ends, told how long a stop may take.

    Overrides hooks of honcho 2.0.0 (manager.py, process.py) that are private: it is pinned.
    """

    def __init__(
        self, printer: SteadfastPrinter, shutdown_grace: float, when_started: Callable[[Processes], None]
    ) -> None:
        super().__init__(printer)
        honcho.manager.KILL_WAIT = max(30.0, shutdown_grace + KILL_PAUSE_SECONDS)
        self._process_ctor = TetheredProcess
        self._follower = threading.Thread(target=when_started, args=(self,), daemon=True)

    def _start(self) -> None:
        super()._start()
        # Not before the forks: a thread may hold a lock that the child then waits for.
        self._printer.start()
        self._follower.start()

    def terminate(self) -> None:
        if self._all_started():
            super().terminate()
        else:  # honcho does not know the pids before its loop has read them
            threading.Timer(POLL_SECONDS, self.terminate).start()

    @property
    def stopping(self) -> bool:
        return bool(self._terminating)


class TetheredProcess(Process):  # type: ignore[misc] # honcho has no types
    """A process that ends with this one, even if this one is killed."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        die_with_parent(os.getppid())
        self._child_ctor = partial(Popen, preexec_fn=partial(die_with_parent, os.getpid()))
        super().run(events, ignore_signals)


class SteadfastPrinter(Printer):  # type: ignore[misc] # honcho has no types
    """honcho's printer, which an orderly stop does not depend on.

    In `make run | tee log`, Ctrl-C ends tee first; in `make run | less`, nobody reads on. And honcho prints in its
    signal handler, perhaps in the middle of another print, which a buffer of Python's refuses with an exception.
    So a thread prints, to an unbuffered file, and what can't be printed is dropped.
    """

    def __init__(self) -> None:
        output = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
        super().__init__(io.TextIOWrapper(output, errors="replace", write_through=True))
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, daemon=True)

    def start(self) -> None:
        """Print in the thread from here on."""
        self._thread.start()

    def __enter__(self) -> SteadfastPrinter:
        return self

    def __exit__(self, *_: object) -> None:
        """Give what waits a moment to be printed."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(LAST_WORDS_SECONDS)

    def write(self, message: Any) -> None:
        self._soon(partial(super().write, message))

    def say(self, text: str) -> None:
        """Print whole lines of our own, without honcho's prefix."""
        self._soon(partial(print, text, file=self.output))

    def _soon(self, write: Callable[[], None]) -> None:
        if self._thread.is_alive():
            self._waiting.put(write)
        else:
            _unless_cut(write)

    def _print(self) -> None:
        while write := self._waiting.get():
            _unless_cut(write)


def _unless_cut(write: Callable[[], None]) -> None:
    with suppress(OSError):
        write()


# --- the announcement ----------------------------------------------------------------


def announce(settings: Settings, key: str, say: Say, processes: Processes) -> None:
    """Say where it is and how to get in, once it answers; stop everything if it does not."""
    deadline = time.monotonic() + READY_PATIENCE_SECONDS
    address = f"http://127.0.0.1:{settings.port}"
    while not processes.stopping:
        trouble = not_ready(address)
        if trouble is None:
            say(invitation(settings, address, key))
            return
        if time.monotonic() > deadline:
            say(f"{address}/readyz is not ready after {READY_PATIENCE_SECONDS:g} s ({trouble}); stopping.")
            processes.terminate()
            return
        time.sleep(POLL_SECONDS)


def not_ready(address: str) -> str | None:
    """Say why the instance at this address can't take requests yet; None if it can."""
    # Without a proxy: the environment may name one, and it could not reach this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/readyz", timeout=5):
            return None
    except (OSError, HTTPException) as error:
        return str(error)


def invitation(settings: Settings, address: str, key: str) -> str:
    """The address, a link that signs the administrator in once, and what is to be said of the API key."""
    with connect(settings) as connection:
        link = f"{address}/sign-in?token={Accounts(connection, settings).sign_in.issue_link('admin')}"
    return (
        f"\n  Workhorse is ready:        {address}"
        f"\n  Sign in once with:         {link}"
        f"\n  The administrator's key:   {key}"
        "\n  Ctrl-C stops everything; the next start goes on where this one stopped.\n"
    )
