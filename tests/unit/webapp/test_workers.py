"""Administrators see the queues and the workers, and drain workers."""

from __future__ import annotations

import pytest

from jobs.engine.broker.store.store import Store
from jobs.engine.operate.workers import drain
from tests.unit.webapp.command import Command

QUEUES, WORKERS = "/api/v1/queues", "/api/v1/workers"
NAME = "host-7-abc"


@pytest.fixture
def worker(services) -> str:
    fields = {"state": "busy", "hostname": "host", "pid": "7", "queues": "high,default", "current_job": "j1"}
    fields |= {
        "birth": "2030-01-31T12:00:00.000000Z",
        "last_heartbeat": "2030-01-31T12:00:01.000000Z",
        "memory": "1024",
    }
    services.client.store.connection.hset(f"rq:worker:{NAME}", mapping=fields)
    services.client.store.connection.sadd("rq:workers", f"rq:worker:{NAME}")
    return NAME


@pytest.fixture
def command(app) -> Command:
    return Command(app)


def audited(services) -> list[tuple[str, str | None, str | None]]:
    entries = services.audit.page().entries
    return [(each.act.action, each.act.user_id, each.act.subject) for each in entries]


def test_queues_are_listed_in_the_order_of_priority(admin, alice):
    alice.submits(query_string={"priority": "low"})
    answer = admin.get(QUEUES).get_json()
    assert [queue["name"] for queue in answer["queues"]] == ["high", "default", "low"]
    low = answer["queues"][2]
    assert low.pop("oldest_wait_seconds") >= 0
    assert low == {"name": "low", "depth": 1, "running": 0, "paused": None}


def test_workers_are_listed(admin, worker):
    assert admin.get(WORKERS).get_json() == {
        "workers": [
            {
                "name": worker,
                "host": "host",
                "state": "busy",
                "current_job_id": "j1",
                "can": [],
                "queues": ["high", "default"],
                "last_beat_at": "2030-01-31T12:00:01.000000Z",
                "memory_bytes": 1024,
                "draining": False,
            }
        ]
    }


def test_a_drain_is_put_and_deleted_and_audited(admin, worker, services):
    for _ in range(2):
        answer = admin("PUT", f"{WORKERS}/{worker}/drain")
        assert (answer.status_code, answer.get_json()["draining"]) == (200, True)
    answer = admin.delete(f"{WORKERS}/{worker}/drain")
    assert (answer.status_code, answer.get_json()["draining"]) == (200, False)
    acts = [("undo-drain", "admin", worker), *2 * [("drain-worker", "admin", worker)]]
    assert audited(services)[:3] == acts


def test_only_administrators_see_queues_and_workers(alice, stranger, worker):
    for method, path in (("GET", QUEUES), ("GET", WORKERS), ("PUT", f"{WORKERS}/{worker}/drain")):
        assert alice(method, path).status_code == 403
        assert stranger.open(path, method=method).status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_worker_that_does_not_exist_can_not_be_drained(admin, services, method):
    answer = admin(method, f"{WORKERS}/nobody/drain")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "worker_not_found")
    assert services.client.store.connection.keys("rq:worker*") == []


def test_a_drain_takes_no_options(admin, worker):
    assert admin("PUT", f"{WORKERS}/{worker}/drain", json={"reason": "x"}).status_code == 422
    assert admin("PUT", f"{WORKERS}/{worker}/drain", query_string={"reason": "x"}).status_code == 422
    assert admin.get(WORKERS, query_string={"limit": 1}).status_code == 422
    assert admin.get(QUEUES, query_string={"limit": 1}).status_code == 422


def test_the_command_line_lists_queues_and_workers(command, worker):
    assert "WAITING" in command("jobs", "queues").out
    assert [queue["name"] for queue in command("jobs", "queues", "--json").json["queues"]] == ["high", "default", "low"]
    shown = command("jobs", "workers").out
    assert worker in shown
    assert "high,default" in shown
    assert command("jobs", "workers", "--json").json["workers"][0]["name"] == worker


def test_the_command_line_says_that_no_worker_runs(command):
    assert command("jobs", "workers").out.startswith("No worker is running.")


def test_the_command_line_drains_a_worker(command, worker, admin, services):
    assert command("jobs", "drain", worker).out == "It takes no more jobs, and ends when it is idle.\n"
    assert command("jobs", "workers", "--json").json["workers"][0]["draining"]
    assert "draining" in command("jobs", "workers").out
    assert command("jobs", "drain", worker, "--undo", "--json").json["draining"] is False
    assert [action for action, _, _ in audited(services)[:2]] == ["undo-drain", "drain-worker"]
    assert command("jobs", "drain", "nobody").code == 4


class StoreOfEagerWorkers(Store):
    """Its workers end as soon as they are drained."""

    def drain(self, worker: str, *, draining: bool) -> bool:
        known = super().drain(worker, draining=draining)
        self.connection.delete(f"rq:worker:{worker}")
        return known


def test_a_worker_that_has_ended_at_once_was_drained(worker, services):
    drained = drain(StoreOfEagerWorkers(services.client.store.connection), worker, draining=True)
    assert (drained.name, drained.draining) == (worker, True)
