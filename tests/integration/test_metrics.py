"""/metrics on a real broker with real workers; the example alerts and the operations page match it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.harness import ROOT, Harness
from webapp import create_app
from webapp.services import EXTENSION

ALERTS = ROOT / "docs" / "alerts.yml"
OPERATIONS = ROOT / "docs" / "operations.md"

#: The words of PromQL that the alerts use.
WORDS = frozenset("sum max by le and unless rate increase histogram_quantile".split())

Samples = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture(scope="module")
def admin(harness: Harness, workers: subprocess.Popen[bytes]) -> Iterator[FlaskClient]:
    """An administrator of an instance in which everything has happened once."""
    app = create_app(harness.settings)
    services = app.extensions[EXTENSION]
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {services.accounts.ensure_admin()}"
    harness.run("echo", text="x")
    harness.run("die", times=1)
    harness.run("sleep-too-long")
    flaky = harness.submit("flaky", path=str(harness.settings.data_dir / "marks"), fails=1)
    harness.ended(flaky)
    harness.submit("noop", options={"delay_seconds": 600})
    client.get("/api/v1/jobs")
    yield client
    services.metrics.flush()


def scrape(admin: FlaskClient) -> str:
    answer = admin.get("/metrics")
    assert answer.status_code == 200, answer.text
    return answer.text


def samples(admin: FlaskClient) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(scrape(admin)):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.fixture(scope="module")
def metric_labels(admin: FlaskClient) -> dict[str, set[str]]:
    """Return the labels of every metric."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scrape(admin)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_work_of_workers_is_counted(admin: FlaskClient) -> None:
    found = samples(admin)
    assert found["workhorse_jobs_total"]["echo", "completed"] == 1
    assert found["workhorse_jobs_failed_total"]["sleep-too-long", "timeout"] == 1
    assert found["workhorse_jobs_retried_total"]["flaky",] == 1
    assert found["workhorse_jobs_resumed_total"]["die", "worker_lost"] == 1
    assert found["workhorse_lost_total"] == {("horse",): 1, ("worker",): 0}
    assert found["workhorse_job_run_seconds_count"]["flaky",] == 2
    assert 1 <= found["workhorse_job_run_seconds_sum"]["sleep-too-long",] < 4
    assert found["workhorse_job_run_seconds_bucket"]["sleep-too-long", "1"] == 0
    assert found["workhorse_jobs_active"]["noop",] == 1


def test_workers_and_queues_are_shown_as_they_are(admin: FlaskClient, harness: Harness) -> None:
    assert samples(admin)["workhorse_workers"] == {("busy",): 0, ("idle",): 1}
    running = harness.running(harness.submit("sleep", seconds=60))
    waiting = harness.submit("noop", options={"priority": "low"})
    found = samples(admin)
    assert found["workhorse_workers"] == {("busy",): 1, ("idle",): 0}
    assert found["workhorse_queue_running"]["default",] == 1
    assert found["workhorse_queue_depth"]["low",] == 1
    assert 0 < found["workhorse_queue_oldest_wait_seconds"]["low",] < 20
    harness.client.cancel(running.job_id)
    harness.ended(waiting)


def test_the_memory_and_files_of_the_broker_are_shown(admin: FlaskClient) -> None:
    found = samples(admin)
    assert found["workhorse_broker_memory_bytes"][()] > 0
    assert found["workhorse_broker_may_evict"][()] == 0
    assert found["workhorse_broker_append_only"][()] == 1


def test_a_worker_that_is_killed_with_a_job_is_counted(harness: Harness, admin: FlaskClient, tmp_path: Path) -> None:
    job = harness.running(harness.submit("wait-for-file", path=str(tmp_path / "end")))
    (pid,) = harness.worker_pids()
    os.kill(pid, signal.SIGKILL)
    harness.until(job, lambda now: now.resumed == 1)
    (tmp_path / "end").touch()
    assert harness.ended(job).resumed == 1
    assert samples(admin)["workhorse_lost_total"]["worker",] == 1


# --- alerts ------------------------------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


each_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])


@each_rule
def test_an_alert_uses_metrics_and_labels_that_exist(rule: dict[str, Any], metric_labels: dict[str, set[str]]) -> None:
    expression = re.sub(r'"[^"]*"', '""', rule["expr"])
    bare = re.sub(r"\{[^}]*\}|by \([^)]*\)|\[[^]]*\]", " ", expression)
    names = set(re.findall(r"[a-z][a-z_]+", bare))
    metrics = {name for name in names if name.startswith("workhorse_")}
    assert names - metrics - WORDS <= {"up"} and (metrics or "up" in names)
    assert metrics <= set(metric_labels)
    for name, labels in re.findall(r"(workhorse_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)=", labels)) <= metric_labels[name]
    by = {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r"[ ,]+", labels)}
    assert by <= set[str]().union(*(metric_labels[name] for name in metrics))
    used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert used <= (by | {"instance"})


@each_rule
def test_an_alert_names_the_broken_promise_and_the_action(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert set(rule["annotations"]) == {"promise", "summary", "action"}
    assert rule["labels"]["severity"] in ("page", "warn")
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_metric_is_on_the_operations_page(metric_labels: dict[str, set[str]]) -> None:
    _, _, section = OPERATIONS.read_text().partition("\n## Metrics\n")
    written = re.findall(r"`(workhorse_\w+?|…_\w+?)(?:…)?`", section.partition("\n## ")[0])
    for name in {re.sub(r"_(bucket|count|sum)$", "", name) if "seconds" in name else name for name in metric_labels}:
        assert any(name == word or name.endswith(word.removeprefix("…")) for word in written) or (
            name.startswith("workhorse_broker_")
        ), name


def test_metrics_are_shown_despite_malformed_records(admin: FlaskClient, harness: Harness) -> None:
    harness.connection.set("rq:worker:malformed", "not a hash")
    harness.connection.sadd("rq:workers", "rq:worker:malformed")
    harness.connection.set("rq:job:malformed", "not a hash")
    harness.connection.rpush("rq:queue:strange", "malformed")
    harness.connection.sadd("rq:queues", "rq:queue:strange")
    assert samples(admin)["workhorse_queue_depth"]["strange",] == 1
