"""Start an instance for the tour, and stop it at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from demo.article import LOOPBACK
from jobs.engine.errors import CannotStart
from jobs.engine.local.announcement import READY_TIMEOUT_SECONDS, not_ready
from jobs.engine.local.instance import ROOT
from jobs.engine.local.process_group import KILL_PAUSE_SECONDS
from jobs.engine.settings import Settings


def admin_key(settings: Settings, address: str) -> str:
    """Return the administrator's key from where an instance stores it.

    Raises:
        CannotStart: the key is not there, so the running instance has another DATA_DIR.
    """
    try:
        return settings.admin_api_key or (settings.data_dir / "admin_api_key").read_text().strip()
    except OSError:
        raise CannotStart(
            f"An instance runs at {address}, but its key is not in {settings.data_dir}. "
            "Set ADMIN_API_KEY or DATA_DIR to the instance's own value, or set another PORT to start a new instance."
        ) from None


@contextmanager
def started(settings: Settings, address: str) -> Iterator[None]:
    """Run an instance inside the context. It may fetch pages from this machine.

    Raises:
        CannotStart: with the instance's output, if it does not become ready.
    """
    print(f"No instance is running at {address}; starting one ...")
    hosts = ",".join([*settings.allowed_private_hosts, LOOPBACK])
    with tempfile.TemporaryFile("w+") as output:
        instance = subprocess.Popen(
            [sys.executable, "-m", "jobs.engine.local"],
            cwd=ROOT,
            env={**os.environ, "ALLOWED_PRIVATE_HOSTS": hosts, "DATA_DIR": str(settings.data_dir)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not _becomes_ready(instance, address):
                output.seek(0)
                raise CannotStart(f"The instance did not start. Its output:\n{output.read()[-4_000:]}")
            yield
        finally:
            instance.terminate()
            # It stops in order by itself; a kill here would leave the broker running without its parent.
            instance.wait(settings.shutdown_grace + 6 * KILL_PAUSE_SECONDS)


def _becomes_ready(instance: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while instance.poll() is None and time.monotonic() < deadline:
        if not_ready(address) is None:
            return True
        time.sleep(0.1)
    return False
