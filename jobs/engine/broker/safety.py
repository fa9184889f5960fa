"""Warnings about a broker that is configured to lose jobs."""

from __future__ import annotations

import redis


def warn_about(connection: redis.Redis) -> list[str]:
    """Say what in the broker's configuration endangers jobs, one sentence each.

    A server that keeps its configuration to itself, as managed ones do, is judged by what it tells.
    """
    sentences = []
    policy = _told(connection, "memory", "maxmemory-policy", "maxmemory_policy")
    if policy not in (None, "noeviction"):
        sentences.append(
            f"The broker may throw jobs away when its memory is full: its maxmemory-policy is {policy}. "
            "Set it to noeviction."
        )
    append_only = _told(connection, "persistence", "appendonly", "aof_enabled")
    snapshots = _told(connection, "persistence", "save")
    if append_only in ("no", "0") and snapshots == "":
        sentences.append(
            "The broker keeps nothing on disk: jobs are lost when it stops. Set appendonly to yes in its configuration."
        )
    return sentences


def _told(connection: redis.Redis, section: str, name: str, field: str = "") -> str | None:
    """Ask for a configuration value, else for the field of INFO that shows it; None if neither is told."""
    for ask, wanted in ((lambda: connection.config_get(name), name), (lambda: connection.info(section), field)):
        try:
            told = ask()
        except redis.ResponseError:  # forbidden, or unknown
            continue
        if wanted in told:
            return str(told[wanted])
    return None
