"""Following jobs over HTTP, on a real broker, real workers and a real web process."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.client.job import Job
from tests.integration.harness import Harness
from tests.integration.streams_support import Event, Stream, Web
from tests.waiting import ALLOWANCE_SECONDS, eventually

MAX_STREAMS = 20


@pytest.fixture(scope="module")
def web(harness: Harness) -> Iterator[Web]:
    web = Web(harness, "carol", MAX_STREAMS=str(MAX_STREAMS))
    web.start()
    yield web
    web.stop()


class Held:
    """A job that the test runs step by step in place of a worker."""

    def __init__(self, harness: Harness, user_id: str, job_type: str = "noop", **params: Any) -> None:
        self._store = harness.store
        self._execution = os.urandom(8).hex()
        self.job = harness.submit(job_type, user_id=user_id, **params)
        self.id = self.job.job_id

    def start(self) -> Held:
        claim = self._store.claim(self._execution, self._execution, ["high", "default", "low"])
        assert claim is not None and claim.job_id == self.id
        return self

    def report(self, percent: float) -> None:
        assert self._store.report(self.id, self._execution, progress={"progress": percent})

    def end(self) -> None:
        outcome = Outcome(OutcomeKind.COMPLETED, result="bnVsbA==")
        self._store.finish(self.id, self._execution, self._execution, outcome)


@pytest.fixture
def held(harness: Harness, web: Web) -> Held:
    return Held(harness, web.user_id)


def rising(events: list[Event]) -> bool:
    ids = [event.id for event in events if event.id is not None]
    return all(before < after for before, after in pairwise(ids))


def stream_of(job: Job | Held) -> str:
    return f"{job.id if isinstance(job, Held) else job.job_id}/stream"


# --- one job, by hand: before any worker has started ----------------------------------


def test_a_stream_begins_with_the_current_state_and_ends_with_the_terminal_version(held: Held, web: Web) -> None:
    held.start()
    with web.stream(stream_of(held)) as stream:
        events = iter(stream)
        first = next(events)
        assert (first.name, first.id, first.data["status"]) == ("update", 2, "running")
        held.report(50)
        assert next(events).data["progress"] == 50
        held.end()
        last = list(events)
    assert [(event.name, event.id, event.data["status"]) for event in last] == [("complete", 4, "completed")]
    with web.stream(stream_of(held), after=4) as stream:
        assert stream.status == 204
    with web.stream(stream_of(held)) as stream:
        assert [event.name for event in stream] == ["complete"]


def test_a_resumed_stream_sends_every_version_except_superseded_progress(held: Held, web: Web) -> None:
    held.start()
    for percent in (10, 20, 30):
        held.report(percent)
    held.end()
    with web.stream(stream_of(held), after=1) as stream:
        events = [(event.id, event.name, event.data["status"], event.data["progress"]) for event in stream]
    assert events == [(2, "update", "running", 0), (5, "update", "running", 30), (6, "complete", "completed", 100)]


def test_a_stream_is_refused_before_it_begins(held: Held, web: Web) -> None:
    assert web.call("GET", "/api/v1/jobs/nowhere/stream")[0] == 404
    assert web.call("GET", f"/api/v1/jobs/{stream_of(held)}?log=true")[0] == 422
    assert web.call("GET", f"/api/v1/jobs/{stream_of(held)}", **{"Last-Event-ID": "x"})[0] == 400
    assert web.call("GET", f"/api/v1/jobs/{stream_of(held)}", Authorization="")[0] == 401
    foreign = web.harness.submit("noop", user_id="bob")
    assert web.call("GET", f"/api/v1/jobs/{stream_of(foreign)}")[0] == 403
    web.harness.client.cancel(foreign.job_id)
    status, headers, _ = web.call("HEAD", f"/api/v1/jobs/{stream_of(held)}")
    assert status == 200 and headers["X-Accel-Buffering"] == "no" and headers["Cache-Control"] == "no-store"
    web.harness.client.cancel(held.id)


def test_a_stream_beyond_the_limit_is_refused_until_one_ends(held: Held, web: Web) -> None:
    path = f"/api/v1/jobs/{stream_of(held)}"
    open_streams = [Stream(web.port, path, None, web.key) for _ in range(MAX_STREAMS)]
    assert {stream.status for stream in open_streams} == {200}
    status, headers, problem = web.call("GET", path)
    assert (status, problem["code"]) == (503, "too_many_streams") and int(headers["Retry-After"]) > 0
    for stream in open_streams:
        stream.cut()

    def has_room() -> bool:
        with web.stream(stream_of(held)) as stream:
            return stream.status == 200

    eventually(has_room, "another stream is admitted")
    web.harness.client.cancel(held.id)


# --- all of a user's jobs -----------------------------------------------------------------


def test_one_connection_streams_all_jobs_of_a_user_and_resumes(harness: Harness, web: Web) -> None:
    first = Held(harness, web.user_id)
    with web.stream("stream") as stream:
        events = iter(stream)
        event = next(events)
        assert event.data["job_id"] == first.id
        position = event.id
    first.start()
    second = Held(harness, web.user_id).start()
    first.report(50)
    first.end()
    second.end()
    with web.stream("stream", after=position) as stream:
        events = iter(stream)
        received = [next(events) for _ in range(6)]
    assert rising(received)
    assert [(event.data["job_id"], event.data["version"], event.name) for event in received] == [
        (first.id, 2, "update"),
        (second.id, 1, "update"),
        (second.id, 2, "update"),
        (first.id, 3, "update"),
        (first.id, 4, "complete"),
        (second.id, 3, "complete"),
    ]
    with web.stream("stream", after=received[3].id) as stream:
        again = [event.id for _, event in zip(range(2), stream, strict=False)]
    assert again == [received[4].id, received[5].id]


def test_a_position_that_is_too_old_is_reset(harness: Harness, web: Web) -> None:
    held = Held(harness, web.user_id)
    with web.stream("stream") as stream:
        position = next(iter(stream)).id
    held.start()
    for _ in range(10_100):
        held.report(1)
    with web.stream("stream", after=position) as stream:
        events = iter(stream)
        assert next(events).name == "reset"
        current = next(events)
        assert (current.name, current.data["job_id"]) == ("update", held.id)
        held.end()
        assert next(events).name == "complete"
    assert 10_000 <= harness.connection.llen(f"wh:feed:{web.user_id}") <= 10_100
    assert 0 < harness.connection.ttl(f"wh:feed:{web.user_id}") <= 86_400


def test_a_removed_user_leaves_no_feed(harness: Harness, web: Web) -> None:
    web.accounts.register("dave", "dave@example.com", "correct horse")
    harness.submit("noop", user_id="dave")
    assert harness.connection.llen("wh:feed:dave") == 1
    web.accounts.close("dave")
    harness.client.delete_all("dave")
    assert harness.connection.llen("wh:feed:dave") == 0


# --- tickets --------------------------------------------------------------------------------


def test_a_ticket_opens_one_stream_and_its_reconnects_until_it_is_complete(held: Held, web: Web) -> None:
    status, _, taken = web.call("POST", "/api/v1/tickets", {"job_id": held.id})
    assert status == 200 and taken["expires_in"] == 60
    path = f"{stream_of(held)}?ticket={taken['ticket']}"
    other = web.harness.submit("noop", user_id=web.user_id)
    with web.stream(f"{stream_of(other)}?ticket={taken['ticket']}", key="") as stream:
        assert stream.status == 401
    web.harness.client.cancel(other.job_id)
    with web.stream(path, key="") as stream:
        assert next(iter(stream)).id == 1
    with web.stream(path, key="") as stream:
        assert stream.status == 401
    held.start()
    held.end()
    with web.stream(path, after=1, key="") as stream:
        assert [event.name for event in stream] == ["update", "complete"]
    with web.stream(path, after=1, key="") as stream:
        assert stream.status == 401
    assert web.call("GET", f"/api/v1/jobs?ticket={taken['ticket']}", Authorization="")[0] == 401


def test_a_ticket_ends_with_the_key_it_was_taken_with(held: Held, web: Web) -> None:
    key_id, key = web.new_key()
    _, _, taken = web.call("POST", "/api/v1/tickets", Authorization=f"Bearer {key}")
    path = f"{stream_of(held)}?ticket={taken['ticket']}"
    with web.stream(path, key="") as stream:
        assert next(iter(stream)).id == 1
    web.accounts.revoke(web.user_id, key_id)
    with web.stream(path, after=1, key="") as stream:
        assert stream.status == 401
    web.harness.client.cancel(held.id)


# --- ends that are not the job's -------------------------------------------------------------


@pytest.mark.slow
def test_a_revoked_key_closes_its_streams(held: Held, web: Web) -> None:
    key_id, key = web.new_key()
    with web.stream(stream_of(held), key=key) as stream:
        events = iter(stream)
        next(events)
        revoked = time.monotonic()
        web.accounts.revoke(web.user_id, key_id)
        last = list(events)
    assert time.monotonic() - revoked < 60
    assert [(event.name, event.data["code"]) for event in last] == [("error", "unauthenticated")]
    web.harness.client.cancel(held.id)


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut_off_while_others_are_served(harness: Harness, web: Web) -> None:
    held = Held(harness, web.user_id, "echo", text="x" * 500_000).start()
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    lazy.connect(("127.0.0.1", web.port))
    head = f"GET /api/v1/jobs/{stream_of(held)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {web.key}\r\n\r\n"
    lazy.sendall(head.encode())
    ours = lazy.getsockname()

    def cut() -> bool:
        return not any(each.raddr == ours for each in web.worker.net_connections() if each.status == "ESTABLISHED")

    eventually(lambda: not cut(), "it is connected")
    with web.stream(stream_of(held)) as stream:
        events = iter(stream)
        next(events)

        def cut_after_another_report() -> bool:
            held.report(1)
            next(events)
            return cut()

        assert eventually(cut_after_another_report, "the client that does not read is cut off")
    held.end()
    lazy.close()


def test_open_streams_end_at_once_when_the_process_stops(held: Held, web: Web) -> None:
    with web.stream(stream_of(held)) as stream:
        events = iter(stream)
        next(events)
        began = time.monotonic()
        web.terminate()
        assert list(events) == []
        assert time.monotonic() - began < 1 + ALLOWANCE_SECONDS
    web.stop()
    web.start()
    web.harness.client.cancel(held.id)


def test_a_websocket_of_another_origin_or_without_credentials_is_refused(held: Held, web: Web) -> None:
    address = f"ws://127.0.0.1:{web.port}/api/v1/jobs/{held.id}/ws"
    credentials = {"Authorization": f"Bearer {web.key}"}
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    path = f"/api/v1/jobs/{held.id}/ws"
    assert web.call("GET", path, **upgrade, Origin="https://evil.example")[0] == 403
    assert web.call("GET", path, **upgrade, Authorization="")[0] == 401
    assert web.call("GET", "/api/v1/jobs/nowhere/ws", **upgrade)[0] == 404
    origin = Origin(f"http://127.0.0.1:{web.port}")
    with connect(address, additional_headers=credentials, origin=origin, proxy=None) as connection:
        assert json.loads(connection.recv(timeout=60))["event"] == "update"
        web.harness.client.cancel(held.id)
        assert json.loads(connection.recv(timeout=60))["event"] == "complete"


def test_many_followers_of_a_job_need_no_thread_of_their_own(held: Held, web: Web) -> None:
    held.start()
    before = web.worker.num_threads()
    path = f"/api/v1/jobs/{stream_of(held)}"
    streams = [Stream(web.port, path, None, web.key) for _ in range(MAX_STREAMS - 5)]
    ends: list[str] = []
    readers = [Thread(target=lambda each=each: ends.append(list(each)[-1].name)) for each in streams]
    for reader in readers:
        reader.start()
    assert web.worker.num_threads() <= before  # one that an earlier test has used may end
    held.report(50)
    held.end()
    for reader, stream in zip(readers, streams, strict=True):
        reader.join(60)
        stream.cut()
    assert ends == ["complete"] * len(streams)


# --- with real workers -------------------------------------------------------------------------


@pytest.mark.usefixtures("workers")
def test_a_job_on_a_worker_is_followed_to_its_end_with_its_log(harness: Harness, web: Web) -> None:
    job = harness.submit("talk", user_id=web.user_id)
    with web.stream(f"{stream_of(job)}?logs=true") as stream:
        events = list(stream)
    lines = [event.data for event in events if event.name == "log"]
    assert {"to stdout", "to stderr", "to logging", "to log"} <= {line["message"] for line in lines}
    assert all(event.id is None for event in events if event.name == "log")
    assert [line["number"] for line in lines] == list(range(len(lines)))
    assert events[-1].name == "complete" and events[-1].data["result"] == "ok"
    assert rising(events)


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_stream_survives_cuts_a_web_restart_and_a_broker_restart(harness: Harness, web: Web) -> None:
    chance = random.Random(5)
    job = harness.submit("report-slowly", user_id=web.user_id, steps=60, seconds=0.25)
    seen: list[Event] = []
    troubles = {6: web.restart, 12: lambda: os.kill(harness.broker.pid or 0, signal.SIGKILL)}
    for cut in range(60):
        troubles.get(cut, lambda: None)()
        after = seen[-1].id if seen else None
        try:
            with web.stream(stream_of(job), after) as stream:
                if stream.status == 204:
                    break
                if stream.status == 503:
                    eventually(web.is_ready, "the web process can reach the broker")
                    continue
                assert stream.status == 200
                for _, event in zip(range(chance.randint(1, 5)), stream, strict=False):
                    seen.append(event)
        except OSError:
            continue
        if seen and seen[-1].name == "complete":
            break
    ended = harness.ended_after_outage(job)
    assert rising(seen)
    assert [event.name for event in seen].count("complete") == 1
    assert seen[-1].name == "complete" and seen[-1].id == ended.version
    assert ended.status == "completed", ended
    with web.stream(stream_of(job), after=ended.version) as stream:
        assert stream.status == 204


@pytest.mark.usefixtures("workers")
def test_an_open_stream_continues_after_a_broker_restart(harness: Harness, web: Web) -> None:
    job = harness.submit("report-slowly", user_id=web.user_id, steps=30, seconds=0.2)
    with web.stream(stream_of(job)) as stream:
        events = iter(stream)
        seen = [next(events), next(events)]
        os.kill(harness.broker.pid or 0, signal.SIGKILL)
        seen += events
    assert rising(seen)
    assert [event.name for event in seen].count("complete") == 1 and seen[-1].name == "complete"


@pytest.mark.usefixtures("workers")
def test_a_websocket_follows_a_job_and_cancels_it(harness: Harness, web: Web) -> None:
    job = harness.submit("sleep", user_id=web.user_id, seconds=60)
    address = f"ws://127.0.0.1:{web.port}/api/v1/jobs/{job.job_id}/ws"
    credentials = {"Authorization": f"Bearer {web.key}"}
    with connect(address, additional_headers=credentials, proxy=None) as connection:
        messages = [json.loads(connection.recv(timeout=60))]
        harness.running(job)
        connection.send("nonsense")
        connection.send(json.dumps({"action": "cancel"}))
        messages += map(json.loads, connection)  # until it is closed as it should be
        assert connection.close_code == 1000
    assert [message["code"] for message in messages if message["event"] == "error"] == ["invalid_request"]
    updates = [message for message in messages if message["event"] != "error"]
    assert updates[-1]["event"] == "complete" and updates[-1]["job"]["status"] == "cancelled"
    versions = [message["job"]["version"] for message in updates]
    assert versions == sorted(set(versions))
