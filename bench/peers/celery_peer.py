"""Celery with late acknowledgement and results in Redis: `celery_peer.py fill N | latency N`."""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

from celery import Celery

from bench.peers import load
from bench.peers.latency import latencies


def _url(variable: str) -> str:
    """Return the URL of a database as Celery writes it."""
    url = urlsplit(os.environ[variable])
    return f"redis+socket://{url.path}?virtual_host={parse_qs(url.query)['db'][0]}"


app = Celery("bench.peers.celery_peer", broker=_url("BENCH_BROKER"), backend=_url("BENCH_RESULTS"))
app.conf.task_acks_late = True
app.conf.broker_connection_retry_on_startup = True

load.fill_heap()


@app.task(name="noop")
def noop() -> None:
    pass


@app.task(name="greet")
def greet(name: str, times: int = 1) -> str:
    return f"Hello {name}! " * times


@app.task(name="stamp")
def stamp(path: str) -> None:
    load.stamp(path)


def main(verb: str, number: str) -> None:
    if verb == "fill":
        for _ in range(int(number)):
            noop.delay()
    else:
        print(json.dumps(latencies(stamp.delay, int(number))))


if __name__ == "__main__":
    main(*sys.argv[1:])
