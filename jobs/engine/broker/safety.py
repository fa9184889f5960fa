"""Warn about a broker that is too old, or whose configuration may lose jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

#: Redis has functions since this version. Valkey reports the version of Redis that it is compatible with, 7.2.
OLDEST_REDIS = 7


def warn_about(connection: redis.Redis) -> list[str]:
    """Return one sentence for each setting of the broker that endangers jobs, and one if it is too old to run them.

    Managed servers often hide their configuration. Those are judged by what INFO shows.
    """
    sentences = []
    version = _shown(connection.info, "server", "redis_version") or ""
    major = version.split(".")[0]
    if major.isdigit() and int(major) < OLDEST_REDIS:
        sentences.append(
            f"The broker is Redis {version}, which can't run jobs. Workhorse needs Redis {OLDEST_REDIS} or newer, "
            "or Valkey."
        )
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
    configured = _shown(connection.config_get, name, name)
    return _shown(connection.info, section, field) if configured is None else configured


def _shown(ask: Callable[[str], Any], what: str, wanted: str) -> str | None:
    """Ask the broker for values, and return the wanted one; None if it does not show it."""
    try:
        values = ask(what)
    except redis.ResponseError:  # forbidden, or unknown
        return None
    return str(values[wanted]) if wanted in values else None
