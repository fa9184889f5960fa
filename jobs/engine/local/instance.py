"""Start an instance on this machine: the Procfile's web and worker lines, around the embedded broker.

    python -m jobs.engine.local

The broker starts first and stops last, after the workers have put back the jobs that they could not finish. The exit
code is 0 after Ctrl-C or SIGTERM, and another one if one of the processes ended by itself.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import broker_errors, connect
from jobs.engine.broker.safety import warn_about
from jobs.engine.errors import WorkhorseError
from jobs.engine.settings import Settings

from .announcement import Say, announce
from .embedded_broker import EmbeddedBroker
from .port import refuse_busy_port
from .printer import NonblockingPrinter
from .process_group import ProcessGroup

ROOT = Path(__file__).resolve().parents[3]

#: Lines of the Procfile that are for a platform's deployments.
NOT_RUN_HERE = {"release"}

#: What honcho.manager.Manager.loop (2.0.0) leaves as its return code after Ctrl-C or SIGTERM.
STOP_REQUESTED = {130, 143}


def main(procfile: Path = ROOT / "Procfile") -> int:
    """Run until Ctrl-C, SIGTERM or the end of one of the processes. Return the exit code."""
    # Until honcho handles SIGTERM, it must unwind as Ctrl-C does: else the broker would be left running.
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
    """Start everything, wait until it ends, and stop what is left in order."""
    refuse_busy_port(settings.port)
    with NonblockingPrinter() as printer, broker(settings, printer.say):
        key = prepare(settings, printer.say)
        processes = ProcessGroup(printer, settings.shutdown_grace, partial(announce, settings, key, printer.say))
        for name, line in parse_procfile(procfile.read_text()).processes.items():
            if name not in NOT_RUN_HERE:
                processes.add_process(name, without_shell(line), env=environment(settings), cwd=str(procfile.parent))
        processes.loop()
        return exit_code(processes.returncode)


def broker(settings: Settings, say: Say) -> AbstractContextManager[Any]:
    """Return the embedded broker, or nothing to run if REDIS_URL names a broker."""
    return nullcontext() if settings.redis_url else EmbeddedBroker(settings, say)


def prepare(settings: Settings, say: Say) -> str:
    """Create the administrator if needed, and warn of settings that put jobs or accounts at risk.

    Returns:
        What to say of the administrator's key: the key itself when it is created, later where it is stored.

    Raises:
        BrokerUnavailable: the broker can't be reached.
    """
    stored = settings.data_dir / "admin_api_key"
    is_new = not stored.exists()
    with connect(settings) as connection, broker_errors():
        key = Accounts(connection, settings).ensure_admin()
        for sentence in [*settings.warnings(), *warn_about(connection)]:
            say(f"WARNING: {sentence}")
    if settings.admin_api_key:
        return "the value of ADMIN_API_KEY"
    return f"{key} (shown only once; stored in {stored})" if is_new else f"in {stored}"


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the processes: the same settings, and this Python's programs first on PATH."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "PORT": str(settings.port),
        "DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }


def without_shell(line: str) -> str:
    """Let a line that is a single program replace its shell, so that signals reach the program directly."""
    first = line.split(maxsplit=1)[0]
    return line if "=" in first or not set(line).isdisjoint(";&|") else f"exec {line}"


def exit_code(code: int | None) -> int:
    """Return 0 after a requested stop. A process that ended by itself is a failure, even if it ended with 0."""
    if code in STOP_REQUESTED:
        return 0
    return code if code and code > 0 else 1
