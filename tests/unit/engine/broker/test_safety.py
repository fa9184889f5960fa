"""Warnings about brokers that may lose jobs."""

from __future__ import annotations

from typing import Any

import redis
from fakeredis import FakeRedis

from jobs.engine.broker.safety import warn_about


def test_the_embedded_broker_causes_no_warning(connection: redis.Redis) -> None:
    assert warn_about(connection) == []


def test_a_broker_that_may_evict_jobs_causes_a_warning(connection: redis.Redis) -> None:
    connection.config_set("maxmemory-policy", "allkeys-lru")
    (sentence,) = warn_about(connection)
    assert "allkeys-lru" in sentence
    assert "noeviction" in sentence


def test_a_broker_that_stores_nothing_on_disk_causes_a_warning(connection: redis.Redis) -> None:
    connection.config_set("appendonly", "no")
    (sentence,) = warn_about(connection)
    assert "nothing on disk" in sentence


def test_a_broker_that_only_takes_snapshots_causes_no_warning(connection: redis.Redis) -> None:
    connection.config_set("appendonly", "no")
    connection.config_set("save", "3600 1")
    assert warn_about(connection) == []


def test_a_broker_that_forbids_config_is_checked_through_info(connection: redis.Redis) -> None:
    connection.config_set("maxmemory-policy", "volatile-lru")
    connection.execute_command("ACL", "SETUSER", "default", "-config")
    (sentence,) = warn_about(connection)
    assert "volatile-lru" in sentence


def test_a_broker_that_shows_no_settings_causes_no_warning() -> None:
    with FakeRedis() as silent:
        assert warn_about(silent) == []


class Redis6(FakeRedis):
    """A server that shows nothing but its version."""

    def info(self, section: str | None = None, *args: Any, **options: Any) -> dict[str, str]:
        return {"redis_version": "6.2.14"} if section == "server" else {}


def test_a_broker_without_functions_causes_a_warning_with_the_oldest_version() -> None:
    with Redis6() as old:
        (sentence,) = warn_about(old)
    assert "Redis 6.2.14" in sentence and "needs Redis 7 or newer, or Valkey" in sentence
