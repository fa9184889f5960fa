"""`/metrics`, in Prometheus' text format: what the broker counts, as of now. For administrators."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Flask, Response
from flask.globals import request_ctx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jobs.engine.operate.metrics import Counts, Figures, Histograms, Request

from .auth import require_admin
from .openapi.describing import described
from .openapi.schemas import TEXT
from .query import Nothing, query
from .rate_limit import admit
from .services import services
from .stopwatch import elapsed_seconds

blueprint = Blueprint("metrics", __name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Anything else that a client may send as a method is one label.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Files of our pages.
_UNCOUNTED = frozenset({"static"})


def install(app: Flask) -> None:
    """Count every request of `app`, also those that are refused at the door."""
    app.after_request(_count)


@blueprint.get("/metrics")
@described(
    "metrics",
    "Operations",
    "Get metrics",
    {"200": {"description": "In Prometheus' text format.", "content": {"text/plain": {"schema": TEXT}}}},
    description="For administrators. Every web process returns the figures of all of them, read from the broker at "
    "each request.",
    refused=(403,),
)
def scrape() -> Response:
    require_admin()
    query(Nothing)
    admit()
    registry = CollectorRegistry()
    registry.register(_Now(services().metrics.read()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE)


def _count(answer: Response) -> Response:
    asked = request_ctx.request  # itself: each look through Flask's `request` costs
    if asked.endpoint not in _UNCOUNTED:
        method = asked.method if asked.method in METHODS else "OTHER"
        route = asked.url_rule.rule if asked.url_rule else "(none)"
        services().metrics.note(Request(method, route, answer.status_code, elapsed_seconds()))
    return answer


class _Now(Collector):
    """The figures of one scrape as families of metrics."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from _of_queues(self._figures)
        yield from _of_jobs(self._figures)
        yield from _of_processes(self._figures)
        yield from _of_http(self._figures)
        yield from _of_broker(self._figures)


def _of_queues(figures: Figures) -> Iterator[Metric]:
    told = {
        "depth": "Jobs in the queue; cancelled ones count until a worker drops them.",
        "oldest_wait_seconds": "How long the job that waits longest near the head has been ready to run.",
        "scheduled": "Jobs that are to run at a time to come: delayed, or between two attempts.",
        "overdue_seconds": "How late the first scheduled job is.",
        "deferred": "Jobs that wait for other jobs, or for room under a limit.",
        "running": "Jobs that are held by a worker.",
    }
    for name, text in told.items():
        family = GaugeMetricFamily(f"workhorse_queue_{name}", text, labels=["queue"])
        for queue in figures.queues:
            family.add_metric([queue.name], getattr(queue, name))
        yield family


def _of_jobs(figures: Figures) -> Iterator[Metric]:
    status = "How many jobs came to a status; pending: submitted, or retried by hand."
    yield _counter("workhorse_jobs", status, ["job_type", "status"], figures.jobs)
    active = GaugeMetricFamily("workhorse_jobs_active", "Jobs that have not ended.", labels=["job_type"])
    for name, count in _active(figures.jobs).items():
        active.add_metric([name], count)
    yield active
    failed = "Jobs that failed, and why; error: an exception of the function's own."
    yield _counter("workhorse_jobs_failed", failed, ["job_type", "reason"], figures.failed)
    yield _counter("workhorse_jobs_retried", "Attempts that are to be tried again.", ["job_type"], figures.retried)
    resumed = "Executions that were put back uncharged, and why: shutdown or worker_lost."
    yield _counter("workhorse_jobs_resumed", resumed, ["job_type", "reason"], figures.resumed)
    yield _histogram("workhorse_job_run_seconds", "How long executions took.", ["job_type"], figures.run)
    wait = "How long jobs that were ready waited for a worker."
    yield _histogram("workhorse_job_wait_seconds", wait, ["job_type"], figures.wait)


def _of_processes(figures: Figures) -> Iterator[Metric]:
    workers = GaugeMetricFamily("workhorse_workers", "Workers that are on record, by state.", labels=["state"])
    for state in sorted({"idle", "busy", *figures.workers}):
        workers.add_metric([state], figures.workers.get(state, 0))
    yield workers
    counts = {("horse",): 0, ("worker",): 0} | figures.lost
    yield _counter("workhorse_lost", "Work horses and workers that died with a job.", ["process"], counts)
    leases = "Claims whose holder was not heard of in time, and that nobody has taken yet."
    yield GaugeMetricFamily("workhorse_expired_leases", leases, value=figures.expired_leases)
    yield GaugeMetricFamily("workhorse_outbox", "Events that webhooks are yet to be told of.", value=figures.outbox)


def _of_http(figures: Figures) -> Iterator[Metric]:
    count = "Answered requests of all web processes."
    yield _counter("workhorse_http_requests", count, ["method", "route", "status"], figures.http)
    seconds = "To the first byte of the answer; a long poll's waiting counts."
    yield _histogram("workhorse_http_request_seconds", seconds, ["method", "route"], figures.http_seconds)


def _of_broker(figures: Figures) -> Iterator[Metric]:
    info = figures.broker
    if not info:
        return  # no figure is better than a wrong one: an alert can ask for `absent(…)`
    memory = "Memory that the broker uses."
    yield GaugeMetricFamily("workhorse_broker_memory_bytes", memory, value=info["used_memory"])
    most = "Memory that the broker may use; 0: no limit."
    yield GaugeMetricFamily("workhorse_broker_max_memory_bytes", most, value=info.get("maxmemory", 0))
    evicts = "1 if the broker throws jobs away when it is full (maxmemory-policy is not noeviction)."
    policy = info.get("maxmemory_policy", "noeviction")
    yield GaugeMetricFamily("workhorse_broker_may_evict", evicts, value=int(policy != "noeviction"))
    durable = "1 if the broker keeps an append-only file and its last write went well."
    good = bool(info.get("aof_enabled")) and info.get("aof_last_write_status", "ok") == "ok"
    yield GaugeMetricFamily("workhorse_broker_append_only", durable, value=int(good))


def _active(jobs: Counts) -> dict[str, int]:
    """What came in less what has ended. Jobs older than the counts could make it negative."""
    signs = {"pending": 1, "completed": -1, "failed": -1, "cancelled": -1}
    totals: dict[str, int] = {}
    for (name, status), count in jobs.items():
        totals[name] = totals.get(name, 0) + signs.get(status, 0) * count
    return {name: max(0, total) for name, total in totals.items()}


def _counter(name: str, text: str, labels: list[str], counts: Counts) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _histogram(name: str, text: str, labels: list[str], histograms: Histograms) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, each in histograms.items():
        family.add_metric(values, buckets=each.cumulative, sum_value=each.sum)
    return family
