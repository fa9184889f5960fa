"""Stock RQ: `rq_peer.py Worker [SERIALIZER] | SimpleWorker | fill N | latency N`, with rq's own defaults."""

from __future__ import annotations

import json
import os
import sys

import redis
import rq

from bench.peers import rq_functions
from bench.peers.latency import latencies


def main(verb: str, *arguments: str) -> None:
    connection = redis.Redis.from_url(os.environ["BENCH_BROKER"])
    queue = rq.Queue(connection=connection)
    if verb == "fill":
        for _ in range(int(arguments[0])):
            queue.enqueue(rq_functions.noop)
    elif verb == "latency":
        print(json.dumps(latencies(lambda path: queue.enqueue(rq_functions.stamp, path), int(arguments[0]))))
    else:
        # The functions are imported before any fork, as a careful user would do.
        getattr(rq, verb)([queue], connection=connection, serializer=arguments[0] if arguments else None).work()


if __name__ == "__main__":
    main(*sys.argv[1:])
