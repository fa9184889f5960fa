"""Connections to the broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_sentinel_url import parse_sentinel_url

from jobs.engine.errors import BrokerUnavailable
from jobs.engine.settings import Settings

logger = logging.getLogger("workhorse")

#: A broker that does not answer within this many seconds is taken for unreachable.
SOCKET_TIMEOUT_SECONDS = 2.0
RETRY_SECONDS = 0.5

#: Connections that a process holds at most, and the seconds that whoever comes when all are taken waits for one: when a
#: web process has started anew, all who follow something come back at once.
MAX_CONNECTIONS = 64
TURN_SECONDS = 10.0

#: What redis-py raises when the broker is away, is still loading its data, or can't store more.
UNREACHABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.BusyLoadingError)
FULL = (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError)
#: The broker's user may not run a command, until an operator permits it.
REFUSED = redis.exceptions.NoPermissionError
#: What the broker can't do now it can do later.
NOT_NOW = (*UNREACHABLE, *FULL, REFUSED)


def connect(
    settings: Settings, *, timeout_seconds: float = SOCKET_TIMEOUT_SECONDS, kind: type[redis.Redis] = redis.Redis
) -> redis.Redis:
    """Make a client for the broker of `settings`. Nothing is sent before its first command.

    RESP 2 without CLIENT SETINFO: one round trip fewer per connection, and replies in one shape.
    Nothing is retried here: a script may have run although its answer was lost, and only the
    caller knows whether running it again is harmless.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "health_check_interval": 0,
        "protocol": 2,
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
    }
    url = settings.broker_url
    if url.startswith("redis+sentinel://"):
        return _master(url, options, kind)
    if url.startswith("rediss://") and not settings.redis_tls_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    # redis-py's own pool (8.1.0) fails beyond its hundredth connection; a web process has more requests than that at
    # once, each for a millisecond, and they may take turns.
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=MAX_CONNECTIONS, timeout=TURN_SECONDS, **options)
    return kind.from_pool(pool)


def _master(url: str, options: dict[str, Any], kind: type[redis.Redis]) -> redis.Redis:
    """A client for whichever server the Sentinels of `redis+sentinel://host:port[,host:port]/service` call the master.

    It asks them again for each new connection, so a failover is an outage of seconds. What the old master had
    acknowledged and not yet copied is lost: Sentinel promises no more.
    """
    found = parse_sentinel_url(url, sentinel_options=options, client_options=options)
    service = found.default_client.service if found.default_client else None
    sentinel = redis.sentinel.Sentinel(found.hosts, sentinel_kwargs=found.sentinel_options, **found.client_options)
    master: redis.Redis = sentinel.master_for(service or "mymaster", redis_class=kind)
    return master


def wait_for_broker(connection: redis.Redis) -> None:
    """Return once the broker answers, however long it is away."""
    while True:
        try:
            connection.ping()
        except UNREACHABLE as error:
            logger.warning("the broker is away, trying again: %s", error)
            time.sleep(RETRY_SECONDS)
        except REFUSED:
            return  # it is there, and its user may not even ping
        else:
            return


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turn redis-py's errors into ours.

    Raises:
        BrokerUnavailable: if the broker can't be reached, or can't store anything now.
    """
    try:
        yield
    except UNREACHABLE as error:
        raise BrokerUnavailable("The broker can't be reached; try again shortly.") from error
    except FULL as error:
        raise BrokerUnavailable("The broker can't store anything now; try again shortly.", retry_after=5) from error
