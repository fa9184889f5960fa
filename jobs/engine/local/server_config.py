"""The configuration file of the embedded broker."""

from __future__ import annotations

from pathlib import Path

from jobs.engine.settings import Settings


def configuration(settings: Settings) -> str:
    """Return the whole configuration: the server reads no file of the machine's own."""
    folder = settings.data_dir / "broker"
    lines = [
        "port 0",
        f"unixsocket {_quoted(settings.broker_socket)}",
        "unixsocketperm 700",
        f"dir {_quoted(folder)}",
        f"pidfile {_quoted(folder / 'broker.pid')}",
        f"logfile {_quoted(folder / 'broker.log')}",
        "daemonize no",
        # The command line distinguishes our broker from another process with a recycled pid.
        "set-proc-title no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "auto-aof-rewrite-percentage 100",
        "auto-aof-rewrite-min-size 64mb",
        # Jobs are not a cache: when memory is full, a submission is refused and nothing is evicted.
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
