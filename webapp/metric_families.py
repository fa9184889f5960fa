"""Write the figures of the broker in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jobs.engine.operate.figures import Counts, Figures, Histograms


def text_of(figures: Figures) -> bytes:
    """Return the figures as text."""
    registry = CollectorRegistry()
    registry.register(_Now(figures))
    return generate_latest(registry)


class _Now(Collector):
    """The figures of one request as metric families."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from _of_queues(self._figures)
        yield from _of_jobs(self._figures)
        yield from _of_processes(self._figures)
        yield from _of_http(self._figures)
        yield from _of_broker(self._figures)


def _of_queues(figures: Figures) -> Iterator[Metric]:
    texts = {
        "depth": "Jobs in the queue, including cancelled ones until a worker drops them.",
        "oldest_wait_seconds": "The longest wait of a job near the head of the queue.",
        "scheduled": "Jobs that are delayed or between two attempts.",
        "overdue_seconds": "The delay of the first scheduled job past its time.",
        "deferred": "Jobs that wait for other jobs or for a limit.",
        "running": "Jobs that a worker is running.",
        "no_worker": "Jobs in the queue that no live worker can run.",
        "paused": "1 if an administrator has paused the queue.",
    }
    for name, text in texts.items():
        family = GaugeMetricFamily(f"workhorse_queue_{name}", text, labels=["queue"])
        for queue in figures.queues:
            family.add_metric([queue.name], getattr(queue, name))
        yield family


def _of_jobs(figures: Figures) -> Iterator[Metric]:
    status = "Jobs that entered a status; pending: submitted, or retried manually."
    yield _counter("workhorse_jobs", status, ["job_type", "status"], figures.jobs)
    active = GaugeMetricFamily("workhorse_jobs_active", "Jobs that have not ended.", labels=["job_type"])
    for name, count in _active(figures.jobs).items():
        active.add_metric([name], count)
    yield active
    failed = "Jobs that failed, by reason; error: an exception of the function."
    yield _counter("workhorse_jobs_failed", failed, ["job_type", "reason"], figures.failed)
    yield _counter("workhorse_jobs_retried", "Failed attempts that are retried.", ["job_type"], figures.retried)
    resumed = "Executions that were requeued uncharged, by reason: shutdown, worker_lost or too_late."
    yield _counter("workhorse_jobs_resumed", resumed, ["job_type", "reason"], figures.resumed)
    yield _histogram("workhorse_job_run_seconds", "The duration of executions.", ["job_type"], figures.run)
    wait = "The time that ready jobs waited for a worker."
    yield _histogram("workhorse_job_wait_seconds", wait, ["job_type"], figures.wait)


def _of_processes(figures: Figures) -> Iterator[Metric]:
    workers = GaugeMetricFamily("workhorse_workers", "Registered workers, by state.", labels=["state"])
    for state in sorted({"idle", "busy", *figures.workers}):
        workers.add_metric([state], figures.workers.get(state, 0))
    yield workers
    counts = {("horse",): 0, ("worker",): 0} | figures.lost
    yield _counter("workhorse_lost", "Work horses and workers that died with a job.", ["process"], counts)
    leases = "Claims whose worker sent no heartbeat in time, and that are not yet recovered."
    yield GaugeMetricFamily("workhorse_expired_leases", leases, value=figures.expired_leases)
    yield GaugeMetricFamily("workhorse_outbox", "Events not yet sent to webhooks.", value=figures.outbox)


def _of_http(figures: Figures) -> Iterator[Metric]:
    count = "Requests to all web processes."
    yield _counter("workhorse_http_requests", count, ["method", "route", "status"], figures.http)
    seconds = "The time to the first byte of the response, including the waiting of a long poll."
    yield _histogram("workhorse_http_request_seconds", seconds, ["method", "route"], figures.http_seconds)


def _of_broker(figures: Figures) -> Iterator[Metric]:
    info = figures.broker
    if not info:
        return  # no figure is better than a wrong one: an alert can check `absent(…)`
    memory = "Memory that the broker uses."
    yield GaugeMetricFamily("workhorse_broker_memory_bytes", memory, value=info["used_memory"])
    most = "The memory limit of the broker; 0: no limit."
    yield GaugeMetricFamily("workhorse_broker_max_memory_bytes", most, value=info.get("maxmemory", 0))
    evicts = "1 if the broker discards jobs when its memory is full (maxmemory-policy is not noeviction)."
    policy = info.get("maxmemory_policy", "noeviction")
    yield GaugeMetricFamily("workhorse_broker_may_evict", evicts, value=int(policy != "noeviction"))
    durable = "1 if the broker writes an append-only file and the last write succeeded."
    good = bool(info.get("aof_enabled")) and info.get("aof_last_write_status", "ok") == "ok"
    yield GaugeMetricFamily("workhorse_broker_append_only", durable, value=int(good))


def _active(jobs: Counts) -> dict[str, int]:
    """Return the submitted jobs minus the ended ones; 0 if jobs older than the counts make it negative."""
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
