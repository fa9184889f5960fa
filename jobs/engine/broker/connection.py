"""Connect to the broker, and turn its errors into ours."""

from __future__ import annotations

import logging
import time
from contextlib import ContextDecorator
from typing import Any

import redis
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_sentinel_url import parse_sentinel_url

from jobs.engine.errors import BrokerUnavailable
from jobs.engine.settings import Settings

logger = logging.getLogger("workhorse")

#: A broker that does not reply within this many seconds counts as unreachable.
SOCKET_TIMEOUT_SECONDS = 2.0
RETRY_SECONDS = 0.5

#: A process has at most this many connections. When all are in use, a caller waits this many seconds for one: after a
#: web process has restarted, all its followers come back at once.
MAX_CONNECTIONS = 64
TURN_SECONDS = 10.0

#: The errors of redis-py when the broker can't be reached or is loading its data; and when it can't store more.
UNREACHABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.BusyLoadingError)
FULL = (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError)
#: The broker's user lacks the permission for a command, until an operator grants it.
REFUSED = redis.exceptions.NoPermissionError
#: The errors after which the same command may succeed later.
NOT_NOW = (*UNREACHABLE, *FULL, REFUSED)


def connect(
    settings: Settings, *, timeout_seconds: float = SOCKET_TIMEOUT_SECONDS, kind: type[redis.Redis] = redis.Redis
) -> redis.Redis:
    """Make a client for the broker of `settings`. Nothing is sent before its first command.

    It uses RESP 2 without CLIENT SETINFO: one round trip less per connection, and replies of one form.
    It retries nothing: a script may have run although its reply was lost, and only the caller knows whether it is
    harmless to run it again.
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
    # redis-py's default pool (8.1.0) raises an error beyond its hundredth connection. A web process may have more
    # requests than that at once, each for a millisecond, so they take turns.
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=MAX_CONNECTIONS, timeout=TURN_SECONDS, **options)
    return kind.from_pool(pool)


def _master(url: str, options: dict[str, Any], kind: type[redis.Redis]) -> redis.Redis:
    """Make a client for the master behind the Sentinels of `redis+sentinel://host:port[,host:port]/service`.

    Each new connection asks the Sentinels for the master, so a failover is an outage of seconds. Writes that the old
    master had acknowledged but not yet replicated are lost: Sentinel promises no more.
    """
    found = parse_sentinel_url(url, sentinel_options=options, client_options=options)
    service = found.default_client.service if found.default_client else None
    sentinel = redis.sentinel.Sentinel(found.hosts, sentinel_kwargs=found.sentinel_options, **found.client_options)
    master: redis.Redis = sentinel.master_for(service or "mymaster", redis_class=kind)
    return master


def wait_for_broker(connection: redis.Redis) -> None:
    """Wait until the broker replies, however long that takes."""
    while True:
        try:
            connection.ping()
        except UNREACHABLE as error:
            logger.warning("the broker can't be reached, trying again: %s", error)
            time.sleep(RETRY_SECONDS)
        except REFUSED:
            return  # it replies, although its user may not even ping
        else:
            return


class broker_errors(ContextDecorator):  # noqa: N801 (a generator with `contextmanager` takes three times as long)
    """Turn redis-py's errors into ours, in a `with` block or a decorated function.

    Raises:
        BrokerUnavailable: the broker can't be reached, can't store anything now, or refuses permission.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, UNREACHABLE):
            raise BrokerUnavailable("The broker can't be reached; try again shortly.") from error
        if isinstance(error, FULL):
            raise BrokerUnavailable("The broker can't store anything now; try again shortly.", retry_after=5) from error
        if isinstance(error, REFUSED):
            raise BrokerUnavailable("The broker does not permit this; see the server's log.", retry_after=60) from error
