"""Webhooks delivered to a real HTTP server, which fails in every way that a receiver can."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook, WebhookVerificationError

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.client.job import Job
from jobs.engine.follow.follower import Follower
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings
from jobs.engine.settings import settings as environment
from tests.integration.harness import JOB_PACKAGES, Harness
from tests.loopback import free_port
from tests.waiting import PATIENCE_SECONDS, eventually
from webapp.application import make_app
from webapp.services import Services

OK: tuple[int, dict[str, str]] = (204, {})


@dataclass
class Message:
    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    def verifies(self, secret: str) -> bool:
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


@dataclass
class Receiver:
    """Responds to each path with a list of answers from its test; the last answer is repeated."""

    port: int = field(default_factory=free_port)
    answers: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    #: Paths that never answer.
    silent: set[str] = field(default_factory=set)
    _server: ThreadingHTTPServer | None = None

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.receive(self)

            do_GET = do_POST  # noqa: N815 (http.server's name)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def receive(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.messages.append(Message(time.monotonic(), request.path, headers, body))
        if request.path in self.silent:
            request.rfile.read(1)  # until the sender gives up
            return
        answers = self.answers.get(request.path, [OK])
        status, more = answers.pop(0) if len(answers) > 1 else answers[0]
        request.send_response(status)
        for name, value in more.items():
            request.send_header(name, value)
        request.end_headers()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def at(self, path: str) -> list[Message]:
        return [message for message in self.messages if message.path == path]

    def until(self, path: str, count: int = 1, timeout: float = PATIENCE_SECONDS) -> list[Message]:
        eventually(lambda: len(self.at(path)) >= count, f"{count} messages at {path}", timeout)
        return self.at(path)


@dataclass
class Api:
    client: FlaskClient
    key: str

    def __call__(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = self.client.open(f"/api/v1{path}", method=method, headers=headers, json=body)
        assert status is None or answer.status_code == status, answer.text
        return answer.get_json(silent=True)

    def submit(self, job_type: str = "noop", params: Any = None, **options: str) -> dict[str, Any]:
        resource: dict[str, Any] = self("POST", f"/jobs/{job_type}{_query(options)}", params or {}, status=202)
        return resource

    def subscribe(self, url: str, *events: str) -> dict[str, Any]:
        webhook: dict[str, Any] = self("POST", "/webhooks", {"url": url, "events": list(events)}, status=201)
        return webhook


def _query(options: dict[str, str]) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in options.items()) if options else ""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def sleeper() -> Iterator[Receiver]:
    """A receiver that is down until a test opens it."""
    receiver = Receiver()
    receiver.close()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def forbidden() -> Iterator[Receiver]:
    """A receiver on loopback that the workers may not reach."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, sleeper: Receiver, forbidden: Receiver
) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOWED_PRIVATE_HOSTS", f"{receiver.host},{sleeper.host},{forbidden.host}")
        environment.cache_clear()
        yield Settings(
            data_dir=tmp_path_factory.mktemp("data"),
            job_packages=("jobs", JOB_PACKAGES),
            workers=3,
            shutdown_grace=8,
            secret_key="s" * 32,
        )
    environment.cache_clear()


@pytest.fixture(scope="module")
def door(
    harness: Harness, broker: EmbeddedBroker, settings: Settings, receiver: Receiver, sleeper: Receiver
) -> Callable[[str], Api]:
    """Registers callers of the API. Two hosts process the outbox."""
    allowed = f"{receiver.host},{sleeper.host}"
    for _ in range(2):
        harness.start_workers(ALLOWED_PRIVATE_HOSTS=allowed)
    accounts = Accounts(harness.connection, settings)
    app = make_app(Services(settings, harness.catalogue, harness.client, accounts, Follower(harness.client)))

    def enter(name: str) -> Api:
        accounts.register(name, f"{name}@example.com", "correct horse")
        return Api(app.test_client(), accounts.create_key(name, "")[1])

    return enter


@pytest.fixture
def alice(door: Callable[[str], Api], request: pytest.FixtureRequest) -> Api:
    """A user of this test's own."""
    return door(f"alice-{abs(hash(request.node.name)) % 10**8}")


def delivery_to(harness: Harness, url: str) -> Job:
    """Return the job that delivers to a URL."""

    def found() -> Job | None:
        jobs = harness.client.page("", job_type="deliver-webhook", limit=200).jobs
        return next((job for job in jobs if job.params["url"] == url), None)

    job: Job = eventually(found, f"a delivery to {url}")
    return job


def reason_for_retrying(harness: Harness, job: Job) -> str:
    def found() -> str | None:
        events: Sequence[Mapping[str, Any]] = harness.client.events(job.job_id)
        return next((event["error"] for event in events if event["type"] == "job_retrying"), None)

    return str(eventually(found, "the job is retried"))


def delivered(harness: Harness, message: Message) -> Job:
    """Return the job that delivered a message, once it has ended."""
    return harness.ended(harness.client.find(message.id.removeprefix("msg_")))


def test_the_url_of_a_job_gets_one_signed_message_at_its_end(alice: Api, harness: Harness, receiver: Receiver) -> None:
    secret = alice("POST", "/webhooks/secret/rotate", status=200)["secret"]
    job = alice.submit("echo", {"text": "hello"}, webhook_url=receiver.url("/once"))

    (message,) = receiver.until("/once")

    assert message.verifies(secret)
    assert message.headers["content-type"] == "application/json"
    assert message.event["type"] == "job_completed"
    data = message.event["data"]
    assert (data["job_id"], data["status"], data["result"]) == (job["job_id"], "completed", ["hello"])
    assert data == alice("GET", f"/jobs/{job['job_id']}")
    assert delivered(harness, message).status == "completed"
    assert len(receiver.at("/once")) == 1


def test_a_failure_and_a_cancellation_are_sent_as_well(alice: Api, receiver: Receiver) -> None:
    alice.submit("fail", {"message": "the well is dry"}, webhook_url=receiver.url("/failed"))
    waiting = alice.submit(webhook_url=receiver.url("/cancelled"), delay="60")
    alice("DELETE", f"/jobs/{waiting['job_id']}", status=200)

    (failed,), (cancelled,) = receiver.until("/failed"), receiver.until("/cancelled")
    assert (failed.event["type"], failed.event["data"]["error"]) == ("job_failed", "the well is dry")
    assert (cancelled.event["type"], cancelled.event["data"]["status"]) == ("job_cancelled", "cancelled")


def test_two_hosts_send_each_subscribed_event_exactly_once(alice: Api, harness: Harness, receiver: Receiver) -> None:
    alice.subscribe(receiver.url("/each"), "job_queued", "job_completed")
    jobs = {alice.submit()["job_id"] for _ in range(15)}

    receiver.until("/each", 2 * len(jobs))
    eventually(lambda: not harness.connection.llen("wh:outbox"), "the outbox is empty")
    for message in receiver.at("/each"):
        delivered(harness, message)

    sent = [(message.event["data"]["job_id"], message.event["type"]) for message in receiver.at("/each")]
    assert sorted(sent) == sorted((job, kind) for job in jobs for kind in ("job_queued", "job_completed"))
    assert len({message.id for message in receiver.at("/each")}) == len(sent)


def test_deliveries_are_not_listed_among_the_users_jobs(alice: Api, receiver: Receiver) -> None:
    job = alice.submit(webhook_url=receiver.url("/unlisted"))
    receiver.until("/unlisted")

    assert [each["job_id"] for each in alice("GET", "/jobs")["jobs"]] == [job["job_id"]]


def test_a_batch_is_announced_once_when_all_its_jobs_have_ended(alice: Api, receiver: Receiver) -> None:
    entries = [{"job_type": "noop"}, {"job_type": "fail", "params": {"message": "no"}}, {"job_type": "noop"}]
    batch = alice("POST", "/batches", {"jobs": entries, "webhook_url": receiver.url("/batch")}, status=202)

    (message,) = receiver.until("/batch")
    assert message.event["type"] == "batch_failed"
    assert message.event["data"] == alice("GET", f"/batches/{batch['batch_id']}")


def test_a_large_result_is_left_out_of_the_message(alice: Api, receiver: Receiver) -> None:
    alice.submit("return-too-much", {"size": 50_000}, webhook_url=receiver.url("/large"))

    (message,) = receiver.until("/large")
    assert (message.event["data"]["result"], message.event["data"]["omitted"]) == (None, ["result"])
    assert len(message.body) < 5_000


def test_both_secrets_sign_during_a_rotation_and_only_the_new_one_after_it(
    alice: Api, harness: Harness, receiver: Receiver
) -> None:
    old = alice.subscribe(receiver.url("/rotated"), "job_completed")["secret"]
    rotated = alice("POST", "/webhooks/secret/rotate", status=200)
    assert rotated["previous_secret_ends_at"] and rotated["secret"] != old
    job = alice.submit()
    (message,) = receiver.until("/rotated")
    assert message.verifies(old) and message.verifies(rotated["secret"])

    harness.connection.zadd(f"wh:webhook-secrets:{job['user_id']}", {old: 1})  # the day is over
    alice.submit()
    later = receiver.until("/rotated", 2)[1]
    assert later.verifies(rotated["secret"]) and not later.verifies(old)


def test_a_receiver_that_was_down_gets_its_message_later(alice: Api, harness: Harness, sleeper: Receiver) -> None:
    alice.submit(webhook_url=sleeper.url("/back"))
    delivery = delivery_to(harness, sleeper.url("/back"))
    assert "can't be reached" in reason_for_retrying(harness, delivery)

    sleeper.open()
    (message,) = sleeper.until("/back")
    assert delivered(harness, message).status == "completed"


def test_a_500_is_retried_with_the_same_id(alice: Api, harness: Harness, receiver: Receiver) -> None:
    receiver.answers["/500"] = [(500, {}), OK]
    alice.submit(webhook_url=receiver.url("/500"))

    first, second = receiver.until("/500", 2)
    assert first.id == second.id
    assert first.body == second.body
    assert delivered(harness, second).attempt == 2


def test_a_429_with_retry_after_is_retried_at_that_time_without_an_attempt(
    alice: Api, harness: Harness, receiver: Receiver
) -> None:
    receiver.answers["/429"] = [(429, {"Retry-After": "3"}), OK]
    alice.submit(webhook_url=receiver.url("/429"))

    first, second = receiver.until("/429", 2)
    assert second.at - first.at >= 2.9
    assert delivered(harness, second).attempt == 1


def test_a_410_ends_the_subscription(alice: Api, harness: Harness, receiver: Receiver) -> None:
    receiver.answers["/410"] = [(410, {})]
    alice.subscribe(receiver.url("/410"), "job_completed")
    alice.subscribe(receiver.url("/still-there"), "job_completed")
    alice.submit()

    delivery = delivered(harness, receiver.until("/410")[0])
    assert (delivery.status, delivery.attempt) == ("failed", 1)
    assert delivery.error and "410" in delivery.error
    gone, kept = alice("GET", "/webhooks")["webhooks"]
    assert gone["ended_at"] and not kept["ended_at"]

    alice.submit()
    receiver.until("/still-there", 2)
    assert len(receiver.at("/410")) == 1


def test_a_redirect_to_loopback_is_not_followed(
    alice: Api, harness: Harness, receiver: Receiver, forbidden: Receiver
) -> None:
    receiver.answers["/redirect"] = [(307, {"Location": forbidden.url("/inside")}), OK]
    alice.submit(webhook_url=receiver.url("/redirect"))

    second = receiver.until("/redirect", 2)[1]
    assert delivered(harness, second).attempt == 2
    assert forbidden.messages == []


def test_a_private_address_that_submission_allowed_is_refused_on_connecting(
    alice: Api, harness: Harness, forbidden: Receiver
) -> None:
    alice.submit(webhook_url=forbidden.url("/inside"))

    delivery = harness.ended(delivery_to(harness, forbidden.url("/inside")))
    assert delivery.status == "failed"
    assert forbidden.messages == []


@pytest.mark.slow
def test_a_receiver_that_never_responds_is_given_up_after_15_seconds(
    alice: Api, harness: Harness, receiver: Receiver
) -> None:
    receiver.silent.add("/silent")
    alice.submit(webhook_url=receiver.url("/silent"))
    delivery = delivery_to(harness, receiver.url("/silent"))

    assert reason_for_retrying(harness, delivery) == "The receiver did not answer within 15 s."
    harness.client.cancel(delivery.job_id)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://localhost/", "http://127.1/", "http://[::1]/", "ftp://a.b/"]
)
def test_a_private_url_is_refused_at_submission(alice: Api, url: str) -> None:
    (of_job,) = alice("POST", f"/jobs/noop?webhook_url={url}", {}, status=422)["errors"]
    (of_webhook,) = alice("POST", "/webhooks", {"url": url, "events": ["job_completed"]}, status=422)["errors"]
    assert of_job["parameter"] == "webhook_url"
    assert of_webhook["pointer"] == "/url"


def test_only_its_owner_sees_or_removes_a_webhook(alice: Api, door: Callable[[str], Api], receiver: Receiver) -> None:
    webhook = alice.subscribe(receiver.url("/mine"), "job_completed")
    assert "secret" not in alice("GET", "/webhooks")["webhooks"][0]
    mallory = door("mallory")

    mallory("DELETE", f"/webhooks/{webhook['id']}", status=404)
    assert mallory("GET", "/webhooks")["webhooks"] == []
    alice("DELETE", f"/webhooks/{webhook['id']}", status=204)


@pytest.mark.parametrize("events", [[], ["job_progress"], ["job_done"], "job_completed"])
def test_events_that_can_not_be_sent_are_refused(alice: Api, events: Any) -> None:
    (error,) = alice("POST", "/webhooks", {"url": "https://example.com/", "events": events}, status=422)["errors"]
    assert error["pointer"].startswith("/events")
    assert alice("GET", "/webhooks")["webhooks"] == []


def test_a_delivery_that_a_user_submits_is_signed_with_their_own_secret(alice: Api, receiver: Receiver) -> None:
    secret = alice("POST", "/webhooks/secret/rotate", status=200)["secret"]
    alice.submit("deliver-webhook", {"url": receiver.url("/own"), "payload": {"type": "order.paid"}})

    (message,) = receiver.until("/own")
    assert message.verifies(secret)
    assert message.event == {"type": "order.paid"}
