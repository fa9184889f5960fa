"""The contenders that run jobs: this project and its peers. Each has its own database."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.client.submission import Submission

from .environments import python
from .instance import instance
from .peers.latency import latencies
from .peers.load import HEAP_VARIABLE, MODULES_VARIABLE
from .workbench import JOB_PACKAGES, RESULTS_DATABASE, USER, Started, Workbench

#: The megabytes of Python objects in the worker, like one that has loaded a model.
HEAP_MEGABYTES = 300


@dataclass
class QueueWorker(ABC):
    bench: Workbench
    workers: int = 1
    heap_megabytes: int = 0

    #: The number of this contender's database in the broker.
    database = 0
    #: The expected jobs per second. It decides how many jobs fill the queue.
    guess = 500.0
    #: The seconds that it runs jobs before it counts as started.
    starting_seconds = 0.0

    @abstractmethod
    def fill(self, jobs: int) -> None:
        """Empty the database, and submit no-op jobs."""

    @abstractmethod
    @contextmanager
    def running(self) -> Iterator[Started]:
        """Run its workers."""

    @abstractmethod
    def completed(self) -> int:
        """Return the number of jobs with a result."""


class TimedWorker(QueueWorker):
    """A contender that also measures how long a submission takes to reach its function."""

    @abstractmethod
    def latencies(self, submissions: int) -> list[float]:
        """Return the seconds from each submission to the function's first line. Its workers are idle before each."""


class Workhorse(TimedWorker):
    guess = 600.0
    packages = JOB_PACKAGES
    job_type = "noop"

    def fill(self, jobs: int) -> None:
        client = self.bench.client(self.database)
        noop = self.bench.catalogue.find(self.job_type)
        for _ in range(jobs):
            client.submit(Submission(noop, {}, USER))

    @contextmanager
    def running(self) -> Iterator[Started]:
        with self.bench.workers(self.workers, self.heap_megabytes, self.packages) as started:
            yield started

    def completed(self) -> int:
        return int(self.bench.connection(self.database).zcard("rq:finished:default"))

    def latencies(self, submissions: int) -> list[float]:
        client = self.bench.client(self.database)
        stamp = self.bench.catalogue.find("stamp")
        with self.running():
            return latencies(lambda path: client.submit(Submission(stamp, {"path": path}, USER)), submissions)


class ReusedWorkhorse(Workhorse):
    """This project with a process that serves many attempts, as Celery's child does."""

    guess = 900.0
    job_type = "reused-noop"


class DefaultWorkers(Workhorse):
    """The workers of this project with all job types that it includes."""

    packages = f"jobs,{JOB_PACKAGES}"


class DefaultWorkhorse(DefaultWorkers):
    """This project as `make run` starts it: web process, log lines, and all job types that it includes."""

    # Its workers run jobs while its web process starts.
    starting_seconds = 2.0

    @contextmanager
    def running(self) -> Iterator[Started]:
        settings = {"WORKERS": str(self.workers), "JOB_PACKAGES": self.packages}
        with instance(self.bench, self.bench.environment(self.database, **settings)) as whole:
            yield whole.started


class _Peer(TimedWorker):
    """A peer, whose module fills its queue and measures latencies in its own environment."""

    environment: str
    module: str

    def fill(self, jobs: int) -> None:
        self.bench.connection(self.database).flushdb()
        self.bench.peer(self.environment, self.module, "fill", jobs, database=self.database)

    @abstractmethod
    def command(self) -> list[str]:
        """Return the arguments of the interpreter that start its worker."""

    @contextmanager
    def running(self) -> Iterator[Started]:
        more = {HEAP_VARIABLE: str(self.heap_megabytes), MODULES_VARIABLE: " ".join(self.modules())}
        with self.bench.running(
            [self.interpreter(), *self.command()], self.bench.peer_environment(self.database, **more)
        ) as started:
            yield started

    def interpreter(self) -> Path:
        return python(self.environment)

    def modules(self) -> list[str]:
        """Return the modules that its worker imports before its first job."""
        return []

    def latencies(self, submissions: int) -> list[float]:
        self.bench.connection(self.database).flushdb()
        with self.running():
            found = self.bench.peer(self.environment, self.module, "latency", submissions, database=self.database)
        return [float(each) for each in json.loads(found)]


class StockRQ(_Peer):
    environment, module, database = "rq", "rq_peer", 1
    guess = 120.0
    worker_class = "Worker"

    def command(self) -> list[str]:
        return ["-m", "bench.peers.rq_peer", self.worker_class]

    def completed(self) -> int:
        return int(self.bench.connection(self.database).zcard("rq:finished:default"))


class LoadedRQ(StockRQ):
    """Stock RQ in this project's environment, with the modules that the included job types preload."""

    database = 5

    def interpreter(self) -> Path:
        return Path(sys.executable)

    def modules(self) -> list[str]:
        return preloaded_modules()


def preloaded_modules() -> list[str]:
    """Return the modules that the included job types preload."""
    return sorted({name for each in Catalogue.discover(["jobs"]).values() for name in each.preload})


class SimpleRQ(StockRQ):
    guess = 400.0
    worker_class = "SimpleWorker"
    database = 2


class Celery(_Peer):
    environment, module, database = "celery", "celery_peer", 3
    guess = 900.0

    def fill(self, jobs: int) -> None:
        self.bench.connection(RESULTS_DATABASE).flushdb()
        super().fill(jobs)

    def command(self) -> list[str]:
        app = ["-m", "celery", "-A", "bench.peers.celery_peer", "worker"]
        # Features that are not about jobs are off. They would only slow it down.
        return [*app, "--pool", "prefork", "--concurrency", str(self.workers), "--without-mingle", "--without-gossip"]

    def completed(self) -> int:
        return int(self.bench.connection(RESULTS_DATABASE).dbsize())


class OneTaskPerChild(Celery):
    """Celery with the isolation of this project: a new process for each task."""

    guess = 5.0

    def command(self) -> list[str]:
        return [*super().command(), "--max-tasks-per-child", "1", "--prefetch-multiplier", "1"]


class Huey(_Peer):
    environment, module, database = "huey", "huey_peer", 4
    guess = 1_500.0

    def command(self) -> list[str]:
        return ["-m", "huey.bin.huey_consumer", "bench.peers.huey_peer.huey", "-k", "process", "-w", "1"]

    def completed(self) -> int:
        return int(self.bench.connection(self.database).hlen("huey.results.bench"))
