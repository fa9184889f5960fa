"""`Worker`, the drop-in for `rq.Worker`, under the name that users give to `rq worker -w`."""

from jobs.engine.worker.rq_worker import Worker

__all__ = ["Worker"]
