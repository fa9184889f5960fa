"""Warn about a broker whose configuration may lose jobs."""

from __future__ import annotations

import redis


def warn_about(connection: redis.Redis) -> list[str]:
    """Return one sentence for each setting of the broker that endangers jobs.

    Managed servers often hide their configuration. Those are judged by what INFO shows.
    """
    sentences = []
    policy = _configured(connection, "memory", "maxmemory-policy", "maxmemory_policy")
    if policy not in (None, "noeviction"):
        sentences.append(
            f"The broker may delete jobs when its memory is full: its maxmemory-policy is {policy}. "
            "Set it to noeviction."
        )
    append_only = _configured(connection, "persistence", "appendonly", "aof_enabled")
    snapshots = _configured(connection, "persistence", "save")
    if append_only in ("no", "0") and snapshots == "":
        sentences.append(
            "The broker stores nothing on disk, so all jobs are lost when it stops. "
            "Set appendonly to yes in its configuration."
        )
    return sentences


def _configured(connection: redis.Redis, section: str, name: str, field: str = "") -> str | None:
    """Return a configuration value, or else the field of INFO that shows it; None if the broker shows neither."""
    for ask, wanted in ((lambda: connection.config_get(name), name), (lambda: connection.info(section), field)):
        try:
            values = ask()
        except redis.ResponseError:  # forbidden, or unknown
            continue
        if wanted in values:
            return str(values[wanted])
    return None
