"""Calls that return at once, and the jobs that they submit, on forked workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.author.blobs import user_path, write_blob
from jobs.engine.author.documents import user_document
from jobs.engine.follow.follower import Follower
from jobs.engine.settings import Settings
from jobs.engine.settings import settings as environment
from jobs.engine.worker.chores import submit_clean_up
from tests.integration.harness import Harness
from tests.waiting import eventually
from webapp.application import make_app
from webapp.services import Services

LABELLED = [("Lovely, friendly, wonderful", "good"), ("Awful, broken, rude", "bad")]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(data_dir))
        environment.cache_clear()
        yield Settings.load(workers=2, shutdown_grace=8, secret_key="s" * 32, max_active_jobs_per_user=3)
    environment.cache_clear()


class Api:
    def __init__(self, client: FlaskClient, key: str) -> None:
        self._client, self._key = client, key

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {self._key}"}
        answer = self._client.open(f"/api/v1{path}", method=method, headers=headers, json=body)
        assert answer.status_code == status, answer.text
        return answer.get_json(silent=True)


@pytest.fixture(scope="module")
def sign_up(harness: Harness, settings: Settings) -> Callable[[str], Api]:
    harness.start_workers(MAX_ACTIVE_JOBS_PER_USER="3")
    accounts = Accounts(harness.connection, settings)
    app = make_app(Services(settings, harness.catalogue, harness.client, accounts, Follower(harness.client)))

    def sign_up_user(name: str) -> Api:
        accounts.register(name, f"{name}@example.com", "correct horse")
        return Api(app.test_client(), accounts.create_key(name, "")[1])

    return sign_up_user


def test_predict_returns_at_once_and_is_logged_and_counted_later(
    harness: Harness, sign_up: Callable[[str], Api]
) -> None:
    carol = sign_up("carol")
    answers = [carol("POST", "/predict", {"text": "What a wonderful, friendly place!"}) for _ in range(3)]

    assert {answer["label"] for answer in answers} == {"positive"}
    assert {answer["model_id"] for answer in answers} == {"default"}

    def logged() -> bool:
        with user_document("predictions", user_id="carol") as log, user_document("stats", user_id="carol") as stats:
            return (log.get("total"), stats.get("by_kind")) == (3, {"predict": 3})

    eventually(logged, "the predictions are logged and counted")
    with user_document("predictions", user_id="carol") as log:
        assert log["newest"][0]["text"] == "What a wonderful, friendly place!"
    # There are more than the user's limit allows, and none of them is among the user's jobs.
    assert carol("GET", "/jobs")["jobs"] == []


def test_predict_uses_only_the_caller_s_own_models(harness: Harness, sign_up: Callable[[str], Api]) -> None:
    dave, erin = sign_up("dave"), sign_up("erin")
    texts, labels = zip(*LABELLED, strict=True)
    params = {"training_data": {"texts": texts * 3, "labels": labels * 3}, "epochs": 5}
    job = dave("POST", "/jobs/train-model?priority=high", params, status=202)
    model_id = harness.ended(harness.client.find(job["job_id"])).result["model_id"]

    assert dave("POST", "/predict", {"text": "wonderful", "model_id": model_id})["label"] == "good"
    refusal = erin("POST", "/predict", {"text": "wonderful", "model_id": model_id}, status=422)
    assert "You have no model" in refusal["errors"][0]["message"]


def test_an_invalid_call_is_refused_with_a_reason(sign_up: Callable[[str], Api]) -> None:
    frank = sign_up("frank")
    assert frank("POST", "/predict", {"text": 1}, status=422)["errors"][0]["pointer"] == "/text"
    frank("POST", "/predict", {"text": "a", "user_id": "carol"}, status=422)
    frank("GET", "/search", status=422)
    frank("GET", "/search?q=a&user=carol", status=422)


def test_indexed_documents_are_found_by_their_owner(harness: Harness, sign_up: Callable[[str], Api]) -> None:
    grace, heidi = sign_up("grace"), sign_up("heidi")
    document = {"id": "1", "title": "Horses", "text": "A horse is a horse."}
    job = grace("POST", "/jobs/update-search-index", {"documents": [document]}, status=202)
    assert harness.ended(harness.client.find(job["job_id"])).result == {"updated": 1, "removed": 0, "total": 1}

    assert [found["id"] for found in grace("GET", "/search?q=hors")["results"]] == ["1"]
    assert heidi("GET", "/search?q=hors") == {"total": 0, "results": []}


def test_a_new_user_finds_nothing_of_a_deleted_user_of_the_same_name(
    harness: Harness, sign_up: Callable[[str], Api]
) -> None:
    ivan = sign_up("ivan")
    job = ivan("POST", "/jobs/update-search-index", {"documents": [{"id": "1", "text": "secret"}]}, status=202)
    harness.ended(harness.client.find(job["job_id"]))
    ivan("DELETE", "/users/me", status=204)

    assert sign_up("ivan")("GET", "/search?q=secret")["total"] == 0


def test_the_daily_clean_up_runs_once_and_removes_unreferenced_data(
    harness: Harness, settings: Settings, sign_up: Callable[[str], Api]
) -> None:
    sign_up("judy")
    write_blob(user_path("models/a.npz", "judy"), b"hers")
    write_blob(user_path("models/a.npz", "long-gone"), b"nobody's")
    for _ in range(3):
        submit_clean_up(harness.client)

    [job] = harness.client.page("", job_type="clean-up").jobs
    assert harness.ended(job).result == {"files": 0, "drafts": 0, "users": 1}
    users = Path(settings.data_dir) / "storage" / "users"
    assert (users / "judy").exists() and not (users / "long-gone").exists()


def test_the_order_confirmation_is_sent(harness: Harness, settings: Settings, sign_up: Callable[[str], Api]) -> None:
    order = {
        "order_id": "A-17",
        "customer_name": "Zoë",
        "customer_email": "zoe@example.com",
        "items": [{"name": "Lamp", "unit_price": "19.90"}],
    }
    job = sign_up("ken")("POST", "/jobs/send-order-confirmation", {"order": order}, status=202)
    assert harness.ended(harness.client.find(job["job_id"])).status == "completed"
    assert list((settings.data_dir / "mail").glob("*.eml"))
