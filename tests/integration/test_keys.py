"""Every key in the broker is on the sign of one room: a tour of the whole API leaves no other, and misses none."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, cast

import pytest
import redis
import rq
from rq.intermediate_queue import IntermediateQueue
from rq.serializers import JSONSerializer

import jobs.engine
from jobs.engine.accounts.accounts import Accounts
from jobs.engine.author.documents import user_document
from jobs.engine.broker.connection import connect
from jobs.engine.broker.store.claims import ForeignClaim
from jobs.engine.client.schedules import Schedules
from jobs.engine.follow.follower import Follower
from jobs.engine.operate.control import Control
from jobs.engine.operate.trends import Trends
from jobs.engine.settings import Settings
from jobs.engine.settings import settings as environment
from tests.integration.harness import JOB_PACKAGES, Harness
from tests.waiting import eventually
from webapp.application import make_app
from webapp.services import Services

PASSWORD = "correct horse"
QUEUES = ["high", "default", "low"]
HOOK = "https://hooks.invalid/x"
#: The key that ends a watch.
LAST_KEY = "the last key"

_LINE = re.compile(r"^    ((?:wh|rq):\S+)  +\S", re.MULTILINE)


def listed_patterns() -> list[tuple[str, str]]:
    """Return the room and the pattern of each key that a room's sign lists."""
    rooms = [module.name for module in iter_modules(jobs.engine.__path__) if module.ispkg]
    signs = {room: import_module(f"jobs.engine.{room}").__doc__ or "" for room in rooms}
    return [(room, pattern) for room, sign in signs.items() for pattern in _LINE.findall(sign)]


def matches(pattern: str, key: str) -> bool:
    """Match a key. `<name>` is any text without a colon, also an empty one; `<name…>` is any text."""
    parts = re.split(r"(<[^>]*>)", pattern)
    form = [(".*" if "…" in each else "[^:]*") if each.startswith("<") else re.escape(each) for each in parts]
    return re.fullmatch("".join(form), key) is not None


def lists_of(key: str) -> list[tuple[str, str]]:
    """Return each list that has the key. One that has it to the letter is the only one."""
    found = [(room, pattern) for room, pattern in listed_patterns() if matches(pattern, key)]
    return [(room, pattern) for room, pattern in found if pattern == key] or found


class Watch:
    """Has the broker announce each change of a key, since some keys live for less than a millisecond."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._changes = connection.pubsub(ignore_subscribe_messages=True)
        self._thread = threading.Thread(target=self._run)
        self.keys: set[str] = set()

    def __enter__(self) -> Watch:
        self._connection.config_set("notify-keyspace-events", "KA")
        self._changes.psubscribe("__keyspace@*__:*")
        self._changes.get_message(timeout=10)  # that it is subscribed
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.set(LAST_KEY, "")
        self._thread.join()
        self._changes.close()

    def _run(self) -> None:
        while LAST_KEY not in self.keys:
            if message := self._changes.get_message(timeout=1):
                self.keys.add(message["channel"].decode().partition("__:")[2])
        self.keys.remove(LAST_KEY)


class Caller:
    def __init__(self, services: Services, user_id: str, key: str) -> None:
        self.user_id = user_id
        self._client = make_app(services).test_client()
        self._key = key

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", **options.pop("headers", {})}
        answer = self._client.open(f"/api/v1{path}", method=method, headers=headers, json=body, **options)
        assert answer.status_code == status, answer.text
        return answer.get_json(silent=True)

    def submits(self, path: str, params: dict[str, Any] | None = None, **options: Any) -> str:
        """Submit a job, and return its id."""
        return str(self("POST", f"/jobs/{path}", params or {}, status=202, **options)["job_id"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(data_dir))
        environment.cache_clear()
        yield Settings(
            data_dir=data_dir,
            secret_key="s" * 32,
            job_packages=("jobs", JOB_PACKAGES),
            registration="open",
            workers=2,
            shutdown_grace=8,
        )
    environment.cache_clear()


@pytest.fixture(scope="module")
def services(harness: Harness, settings: Settings) -> Services:
    harness.connection.flushall()
    accounts = Accounts(harness.connection, settings)
    return Services(settings, harness.catalogue, harness.client, accounts, Follower(harness.client))


@pytest.fixture(scope="module")
def seen(harness: Harness, services: Services) -> set[str]:
    """Return the keys that were in the broker at any time of a tour of the API."""
    with Watch(connect(harness.settings)) as watch:
        admin = Caller(services, "admin", services.accounts.ensure_admin())
        carol = Caller(services, "carol", registered(admin, services, "carol"))
        call_for_accounts(services, admin, carol)
        leave_to_dead_workers(harness, carol)
        pause_and_resume(harness, carol)
        harness.start_workers(MAX_RUNNING_JOBS_PER_USER="2")
        submit_all_kinds(harness, carol)
        write_a_document()
        Trends(harness.store).note()
        leave_a_queue_unused(harness)
        eventually(lambda: not unended(harness, "carol"), "the jobs of the tour end")
        remove_users(services, admin)
    return watch.keys


def registered(admin: Caller, services: Services, name: str) -> str:
    admin("POST", "/users", {"username": name, "email": f"{name}@example.com", "password": PASSWORD}, status=201)
    return services.accounts.create_key(name, "")[1]


def call_for_accounts(services: Services, admin: Caller, carol: Caller) -> None:
    carol("POST", "/api-keys", {"name": "laptop"}, status=201)
    carol("POST", "/token", {"username": "carol", "password": PASSWORD})
    carol("POST", "/token", {"username": "carol", "password": "wrong"}, status=401)
    carol("POST", "/tickets")
    carol("GET", "/users/me")
    admin("GET", "/audit")
    services.accounts.sign_in.issue_link("carol")
    link = services.accounts.sign_in.issue_link("admin")
    browser = make_app(services).test_client()
    erin = {"username": "erin", "email": "erin@example.com", "password": PASSWORD}
    assert browser.post("/api/v1/users", json=erin).status_code == 201
    assert browser.get(f"/sign-in?token={link}").status_code == 303
    assert browser.get("/metrics").status_code == 200
    carol("POST", "/webhooks", {"url": HOOK, "events": ["job_failed", "job_completed"]}, status=201)
    carol("POST", "/webhooks/secret/rotate")


def leave_to_dead_workers(harness: Harness, carol: Caller) -> None:
    """Claim a job of each kind for workers that never lived, and find their leases expired once."""
    carol.submits("noop")
    assert harness.store.claim("host-1-dead", "e1", QUEUES)
    plain = rq.Queue("default", connection=harness.connection, serializer=JSONSerializer)
    plain.enqueue(f"{JOB_PACKAGES}.behaviours.echo", "hello", at_front=True)
    assert isinstance(harness.store.claim("host-2-dead", "e2", QUEUES), ForeignClaim)
    # What each worker does now and then: whether it finds the claimed job here would be chance.
    IntermediateQueue(plain.key, harness.connection).cleanup(cast(Any, None), plain)
    leases = cast(list[bytes], harness.connection.zrange("wh:leases", 0, -1))
    harness.connection.zadd("wh:leases", dict.fromkeys(leases, 1))
    assert harness.store.suspects() == []


def pause_and_resume(harness: Harness, carol: Caller) -> None:
    """Pause a job type, resume it, and make room for more jobs than one claim puts back."""
    control = Control(harness.store)
    control.pause_job_type("talk", None, None, None)
    for _ in range(12):
        carol.submits("talk?priority=high")
    assert harness.store.claim("host-3-dead", "e3", ["high"]) is None
    control.resume_job_type("talk")
    assert harness.store.claim("host-3-dead", "e3", ["low"]) is None


def leave_a_queue_unused(harness: Harness) -> None:
    harness.connection.sadd("rq:queues", "rq:queue:low@gpu")
    harness.store.sweep()


def submit_all_kinds(harness: Harness, carol: Caller) -> None:
    folder = str(harness.settings.data_dir)
    for priority in QUEUES:
        carol.submits(f"noop?priority={priority}")
    carol.submits("talk")
    carol.submits("report-slowly", {"steps": 3, "seconds": 0.1})
    carol.submits("step-by-step", {"path": f"{folder}/steps"})
    carol.submits("flaky", {"path": f"{folder}/flaky"})
    carol.submits("noop?delay=0.5&tag=later&unique_key=k&start_within=60")
    for _ in range(3):
        carol.submits("one-at-a-time", {"path": folder})
    for _ in range(4):
        carol.submits("three-a-second", {"path": folder})
    failed = carol.submits("fail", headers={"Idempotency-Key": "k1"})
    eventually(lambda: harness.client.find(failed).status == "failed", "the job fails")
    carol("POST", f"/jobs/{failed}/retry", status=202)
    go = harness.settings.data_dir / "go"
    first = carol.submits("wait-for-file", {"path": str(go)})
    second = carol.submits(f"noop?depends_on={first}&webhook_url={HOOK}")
    carol("DELETE", f"/jobs/{second}")
    go.touch()
    for path in ("", "/logs", "/events"):
        carol("GET", f"/jobs/{first}{path}")
    carol("POST", "/batches", {"jobs": [{"job_type": "noop"}] * 2, "webhook_url": HOOK}, status=202)
    split = {"job_type": "split", "params": {"text": "a b"}}
    join = {"job_type": "join", "params": {"words": {"$ref": "#/steps/0/result/words"}}}
    carol.submits("bulk", {"action": "delete", "filter": {"tag": "later"}})
    carol("POST", "/pipelines", {"steps": [split, join]}, status=202)
    submit_on_schedule(harness, carol)
    call_inline_and_with_files(carol)


def submit_on_schedule(harness: Harness, carol: Caller) -> None:
    """Let a schedule have two ticks, of which the second waits for the job of the first."""
    go = harness.settings.data_dir / "go on"
    plan = {"job_type": "wait-for-file", "params": {"path": str(go)}, "cron": "0 0 1 1 *", "overlap": "wait"}
    schedule = carol("POST", "/schedules", plan, status=201)["schedule_id"]

    def outcomes() -> list[str]:
        return [run.outcome for run in Schedules(harness.client).runs(schedule)]

    for outcome in ("started", "waiting"):
        harness.connection.zadd("wh:schedules", {schedule: int(time.time()) - 1})
        eventually(lambda: outcome in outcomes(), f"a tick is {outcome}")  # noqa: B023
    go.touch()


def call_inline_and_with_files(carol: Caller) -> None:
    carol("POST", "/predict", {"text": "What a wonderful place!"})
    carol("GET", "/search?q=a")
    upload = {"file": (io.BytesIO(b"abc"), "a.txt")}
    carol("POST", "/files", status=201, data=upload, content_type="multipart/form-data")


def write_a_document() -> None:
    with user_document("notes", user_id="carol") as notes:
        notes["read"] = True


def unended(harness: Harness, user_id: str) -> int:
    return sum(count for status, count in harness.client.counts(user_id).items() if not status.terminal)


def remove_users(services: Services, admin: Caller) -> None:
    services.accounts.close("erin")
    dave = Caller(services, "dave", registered(admin, services, "dave"))
    dave.submits("noop?delay=600")
    admin("DELETE", "/users/dave", status=204)


def test_each_key_is_on_the_list_of_exactly_one_room(seen: set[str]) -> None:
    strays = {key: lists_of(key) for key in sorted(seen) if len(lists_of(key)) != 1}
    assert strays == {}, "each key belongs on the sign of one room, its __init__, in the form of the others"


def test_each_listed_key_is_used(seen: set[str]) -> None:
    used = {entry for key in seen for entry in lists_of(key)}
    assert [entry for entry in listed_patterns() if entry not in used] == []
