"""Announce an instance in the terminal once it is ready."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.broker.connection import connect
from jobs.engine.settings import Settings

from .process_group import ProcessGroup

READY_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1

Say = Callable[[str], None]


def announce(settings: Settings, key: str, say: Say, processes: ProcessGroup) -> None:
    """Say where the instance is and how to sign in once it is ready; stop everything if it does not become ready.

    Args:
        key: what to say of the administrator's API key.
    """
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    address = f"http://127.0.0.1:{settings.port}"
    while not processes.stopping:
        reason = not_ready(address)
        if reason is None:
            say(invitation(settings, address, key))
            return
        if time.monotonic() > deadline:
            say(f"{address}/readyz is not ready after {READY_TIMEOUT_SECONDS:g} s ({reason}); stopping.")
            processes.terminate()
            return
        time.sleep(POLL_SECONDS)


def not_ready(address: str) -> str | None:
    """Return why the instance at this address can't take requests yet, or None if it can."""
    # Without a proxy: the environment may name one, and it could not reach this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/readyz", timeout=5):
            return None
    except (OSError, HTTPException) as error:
        return str(error)


def invitation(settings: Settings, address: str, key: str) -> str:
    """Return the address, a link that signs the administrator in once, and what to say of the API key."""
    with connect(settings) as connection:
        link = f"{address}/sign-in?token={Accounts(connection, settings).sign_in.issue_link('admin')}"
    return (
        f"\n  Workhorse is ready:        {address}"
        f"\n  Sign in once with:         {link}"
        f"\n  The administrator's key:   {key}"
        "\n  Press Ctrl-C to stop. The next start continues where this one stopped.\n"
    )
