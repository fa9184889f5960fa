"""Whole systems that take jobs over HTTP and run them: this project as `make run` starts it, and apps of its peers.

Each is started empty, and submits the same job: a greeting with two arguments.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import redis

from jobs.engine.broker.connection import connect
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings

from .environments import python
from .http_load import BadAnswer
from .instance import instance, own_environment
from .peers.load import MODULES_VARIABLE
from .queue_workers import Celery, preloaded_modules
from .server import start_flask
from .usage import by_role, cpu_seconds, cpu_times, descendant
from .workbench import JOB_PACKAGES, Workbench, until

BODY = b'{"name": "Ada Lovelace", "times": 3}'


@dataclass(frozen=True)
class System:
    port: int
    #: The path and the headers of a submission.
    path: str
    headers: dict[str, str]
    #: The processes that it consists of, each with its descendants.
    pids: list[int]
    #: Returns the CPU seconds so far, by the role of the process.
    cpu: Callable[[], dict[str, float]]
    #: Returns the number of jobs with a result.
    completed: Callable[[], int]

    def run(self, jobs: int) -> None:
        """Submit jobs, one after the other, and wait until all have results."""
        wanted = self.completed() + jobs
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _ in range(jobs):
            connection.request("POST", self.path, BODY, self.headers | {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            if response.status != HTTPStatus.ACCEPTED:
                raise BadAnswer(f"{self.path}: {response.status} {content[:600]!r}")
        connection.close()
        until(lambda: self.completed() >= wanted, f"{wanted} results")


WARM_UP_JOBS = 20

#: Starts a system with so many workers. The stack ends it.
Start = Callable[[Workbench, ExitStack, int], System]


def workhorse(bench: Workbench, stack: ExitStack, workers: int) -> System:
    """Start what `make run` starts, with the benchmark's job types beside the included ones."""
    environment = own_environment(bench, WORKERS=str(workers), JOB_PACKAGES=f"jobs,{JOB_PACKAGES}")
    whole = stack.enter_context(instance(bench, environment))
    root = whole.started.pid
    broker, web, worker = (descendant(root, each) for each in ("/broker.conf", "gunicorn", "worker.py"))
    connection = connect(Settings(data_dir=Path(environment["DATA_DIR"])))

    def cpu() -> dict[str, float]:
        launcher = by_role(cpu_times(root), ["launcher", "launcher", "the others"])["launcher"]
        found = {"web": cpu_seconds(web), "broker": _own(broker), "launcher": launcher - _own(broker)}
        return found | by_role(cpu_times(worker), ["supervisor", "worker", "zygote", "work horses"])

    headers = {"Authorization": f"Bearer {environment['ADMIN_API_KEY']}"}
    return System(whole.port, "/api/v1/jobs/greet", headers, [root], cpu, lambda: _finished(connection))


def flask_and_rq(bench: Workbench, stack: ExitStack, workers: int, *, with_modules: bool = False) -> System:
    """Start Flask with RQ, and `rq.Worker` as often as `workers` says.

    Args:
        with_modules: let the workers import the modules that the job types included in this project preload.
    """
    broker, environment = _broker(bench, stack)
    interpreter = sys.executable if with_modules else python("rq")
    more = {MODULES_VARIABLE: " ".join(preloaded_modules())} if with_modules else {}
    command = [interpreter, "-m", "bench.peers.rq_peer", "Worker", "json"]
    started = [stack.enter_context(bench.running(command, environment | more)).pid for _ in range(workers)]
    port, web = start_flask(bench, stack, "flask_app:with_rq", environment)
    connection = redis.Redis.from_url(environment["BENCH_BROKER"])

    def cpu() -> dict[str, float]:
        found = {"web": cpu_seconds(web.pid), "broker": _own(broker)}
        return found | by_role((each for pid in started for each in cpu_times(pid)), ["worker", "work horses"])

    return System(port, "/job", {}, [broker, web.pid, *started], cpu, lambda: _finished(connection))


def flask_and_celery(bench: Workbench, stack: ExitStack, workers: int) -> System:
    """Start Flask with Celery, and a Celery worker with so many children."""
    broker, environment = _broker(bench, stack)
    worker = stack.enter_context(bench.running([python("celery"), *Celery(bench, workers).command()], environment))
    port, web = start_flask(bench, stack, "flask_celery_app:with_celery", environment)
    results = redis.Redis.from_url(environment["BENCH_RESULTS"])

    def cpu() -> dict[str, float]:
        found = {"web": cpu_seconds(web.pid), "broker": _own(broker)}
        return found | by_role(cpu_times(worker.pid), ["worker", "children"])

    return System(port, "/job", {}, [broker, web.pid, worker.pid], cpu, lambda: int(results.dbsize()))


def _broker(bench: Workbench, stack: ExitStack) -> tuple[int, dict[str, str]]:
    """Start a broker of the same kind as this project's. Return its process id, and the environment of a peer."""
    settings = Settings(data_dir=Path(tempfile.mkdtemp(dir=bench.folder)))
    broker = stack.enter_context(EmbeddedBroker(settings))
    assert broker.pid
    url = f"unix://{settings.broker_socket}"
    return broker.pid, bench.peer_environment(BENCH_BROKER=f"{url}?db=0", BENCH_RESULTS=f"{url}?db=1")


def _finished(connection: redis.Redis) -> int:
    return int(connection.zcard("rq:finished:default"))


def _own(pid: int) -> float:
    return next(cpu_times(pid)).own


@contextmanager
def running(start: Start, bench: Workbench, workers: int) -> Iterator[System]:
    """Run a system that has completed its first jobs."""
    with ExitStack() as stack:
        system = start(bench, stack, workers)
        system.run(WARM_UP_JOBS)
        yield system
