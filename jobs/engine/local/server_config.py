"""The configuration of the embedded broker: its file, and the environment of its process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.engine.settings import Settings

_TUNABLES = "GLIBC_TUNABLES"
#: glibc's allocator keeps 7 freed blocks of each size at hand. A step frees a few hundred. The rest goes back to the
#: free blocks between stored jobs, and the next step takes the one that was freed first, which no CPU cache holds. The
#: more jobs are stored, the more free blocks there are. On an empty broker, the larger cache costs more than it saves.
_MORE_BLOCKS = "glibc.malloc.tcache_count=500"


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the server. It keeps the tunables of glibc that an operator has set."""
    return {_TUNABLES: _MORE_BLOCKS} | dict(inherited)


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
        # The result of each job is a stream of one entry. The server reserves this much for it, 4,096 bytes by default.
        "stream-node-max-bytes 256",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
