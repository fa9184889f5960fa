"""Huey with one process worker, storing every result: `huey_peer.py fill N | latency N`."""

from __future__ import annotations

import json
import os
import sys

from huey import RedisHuey

from bench.peers import load
from bench.peers.latency import latencies

# By default Huey does not store a result of None. All other contenders do.
huey = RedisHuey("bench", url=os.environ["BENCH_BROKER"], store_none=True)

load.fill_heap()


@huey.task(name="noop")
def noop() -> None:
    pass


@huey.task(name="stamp")
def stamp(path: str) -> None:
    load.stamp(path)


def main(verb: str, number: str) -> None:
    if verb == "fill":
        for _ in range(int(number)):
            noop()
    else:
        print(json.dumps(latencies(stamp, int(number))))


if __name__ == "__main__":
    # Huey's function names contain the module's name, which must be the one that the consumer imports.
    from bench.peers import huey_peer  # noqa: PLW0406 - this module a second time, under that name

    huey_peer.main(*sys.argv[1:])
