"""Vocabularies, models, predictions, search and statistics, through HTTP and forked workers."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.instance import SAMPLES, Answer, Api, Instance, Site, completion_of
from tests.waiting import eventually

# --- vocabularies --------------------------------------------------------------------------


def words_of(result: dict[str, Any]) -> set[str]:
    return {word["lemma"] for word in result["words"]}


def test_a_second_article_adds_only_new_words_to_the_vocabulary(alice: Api, instance: Instance, site: Site) -> None:
    page = site.article("/molino", (SAMPLES / "articulo.html").read_bytes())

    first = alice.run("extract-vocabulary", url=page, source_lang="es", word_count=12, browser="firefox")
    second = alice.run("extract-vocabulary", url=page, source_lang="es", word_count=5)

    assert (first["new_words"], first["updated_words"], first["source_url"]) == (12, 0, page)
    assert first["chosen_by"] == "word frequencies"
    assert all(word["example"] and word["count"] >= 1 for word in first["words"])
    # The menu and the advertisement are not part of the article.
    assert not words_of(first) & {"horóscopo", "galleta", "zapatilla", "publicidad", "descuento"}
    # The second job chooses other words, and counts the twelve that the text uses again.
    assert (second["new_words"], second["updated_words"]) == (5, 12)
    assert not words_of(first) & words_of(second)
    assert set(instance.stored(alice.user_id, "vocabulary")["words"]["es"]) == words_of(first) | words_of(second)
    assert "Firefox" in next(headers["user-agent"] for path, headers, *_ in site.seen if path == "/molino")


def test_a_language_model_chooses_and_translates_if_one_is_set_up(instance_with_model: Instance, site: Site) -> None:
    url = site.article("/molino", (SAMPLES / "articulo.html").read_bytes())
    chosen = [
        {"word": "molino", "lemma": "molino", "translation": "mill"},
        {"word": "harina", "lemma": "harina", "translation": "flour"},
    ]
    site.pages["/v1/chat/completions"] = completion_of({"words": chosen})
    carol = instance_with_model.newcomer()
    before = len(site.posts_to("/v1/chat/completions"))

    first = carol.run("extract-vocabulary", url=url, word_count=2, prompt="Words about bread")
    carol.run("extract-vocabulary", url=url, word_count=2)

    assert first["chosen_by"] == "language model"
    assert [(word["word"], word["translation"]) for word in first["words"]] == [("molino", "mill"), ("harina", "flour")]
    asked = [json.loads(body)["messages"] for _, body in site.posts_to("/v1/chat/completions")[before:]]
    instructions = [messages[0]["content"] for messages in asked]
    assert any("Words about bread" in text for text in instructions)
    assert any("already known: harina, molino" in text for text in instructions)
    assert "las ruedas del viejo molino" in asked[0][1]["content"]


def test_an_article_is_fetched_again_after_a_server_error_and_not_after_a_refusal(alice: Api, site: Site) -> None:
    answers: Iterator[Answer] = iter([(503, {}, b""), (403, {}, b"no"), (200, {}, b"never")])
    site.pages["/refused"] = lambda _body: next(answers)
    job = alice.ended(alice.submit("extract-vocabulary", {"url": f"{site.address}/refused"}))
    assert (job["status"], job["error"]) == ("failed", "Could not fetch article: 403 Forbidden")
    assert (job["attempt"], alice.events(job).count("job_retrying")) == (2, 1)


# --- models --------------------------------------------------------------------------------


def sentiments() -> dict[str, list[str]]:
    with (SAMPLES.parents[1] / "jobs" / "data" / "sentiment.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {"texts": [row["text"] for row in rows], "labels": [row["label"] for row in rows]}


def test_a_model_beats_the_baseline_and_only_its_owner_can_use_it(alice: Api, instance: Instance) -> None:
    data = sentiments()
    job = alice.ended(alice.submit("train-model", {"training_data": data, "epochs": 12}))
    trained = job["result"]
    assert (trained["epochs"], job["progress_current"], job["progress_message"]) == (12, 12, "Epoch 12 of 12")
    assert trained["measured_on"] == "held-out texts" and trained["held_out_texts"] > 50
    most = Counter(data["labels"]).most_common(1)[0][1] / len(data["labels"])
    assert trained["baseline_accuracy"] == pytest.approx(most, abs=0.05)
    assert trained["accuracy"] > trained["baseline_accuracy"] + 0.1

    params = {"texts": ["A wonderful, delightful place."] * 3, "model_id": trained["model_id"]}
    assert [each["label"] for each in alice.run("batch-predict", **params)["predictions"]] == ["positive"] * 3
    assert "You have no model" in instance.newcomer().failed("batch-predict", **params)


def test_a_model_is_trained_from_a_file(alice: Api) -> None:
    trained = alice.run("train-model", training_data=alice.sample("training.csv"), epochs=20)
    assert (trained["labels"], trained["training_texts"] + trained["held_out_texts"]) == (["cooking", "sport"], 16)
    answer = alice.run("predict", text="Stir the sauce and bake the bread.", model_id=trained["model_id"])
    assert answer["label"] == "cooking"


def test_a_thousand_texts_are_predicted_in_batches_of_ten(alice: Api) -> None:
    texts = ["What a lovely, friendly room!", "The food was awful and cold."] * 500
    job = alice.ended(alice.submit("batch-predict", {"texts": texts}))
    result = job["result"]
    assert (result["total"], result["model_id"], len(result["predictions"])) == (1000, "default", 1000)
    assert [each["label"] for each in result["predictions"][:4]] == ["positive", "negative"] * 2
    assert [each["index"] for each in result["predictions"]] == list(range(1000))
    assert (job["progress_current"], job["progress_total"]) == (1000, 1000)
    assert job["progress_message"] == "1000 of 1000 texts"
    [fault] = alice.refused("batch-predict", {"texts": [*texts, "one more"]})
    assert fault["pointer"] == "/texts" and "1000" in fault["message"]


def test_one_text_is_predicted_at_once_and_logged_and_counted_later(alice: Api, instance: Instance) -> None:
    for _ in range(3):
        answer = alice.post("/predict", {"text": "A truly wonderful evening"})
        assert (answer["label"], answer["model_id"]) == ("positive", "default")
    eventually(lambda: instance.stored(alice.user_id, "predictions").get("total") == 3, "the predictions are logged")
    eventually(
        lambda: instance.stored(alice.user_id, "stats").get("by_kind") == {"predict": 3}, "the requests are counted"
    )
    logged = instance.stored(alice.user_id, "predictions")["newest"][0]
    assert (logged["text"], logged["label"]) == ("A truly wonderful evening", "positive")
    # These jobs run after the response. They are not the user's own jobs, and count against no limit.
    assert {job["job_type"] for job in alice.get("/jobs")["jobs"]} <= {"send-welcome-email"}


def test_prediction_logging_and_statistics_are_also_job_types(alice: Api, instance: Instance) -> None:
    entry = {"text": "Fine", "label": "positive", "confidence": 0.9}
    assert [alice.run("log-prediction", **entry)["total"] for _ in range(2)] == [1, 2]
    stats = [alice.run("update-user-stats", kind=kind) for kind in ("search", "predict", "search")]
    assert [each["request_count"] for each in stats] == [1, 2, 3]
    assert stats[-1]["by_kind"] == {"search": 2, "predict": 1}
    counted = [alice.run("update-analytics", event="opened") for _ in range(2)]
    assert counted[-1] == {"event": "opened", "today": 2, "total": 2}
    assert instance.newcomer().run("update-analytics", event="opened")["total"] == 1


# --- search --------------------------------------------------------------------------------


def test_indexed_documents_are_found_by_their_words_and_only_by_their_owner(alice: Api, instance: Instance) -> None:
    documents = [
        {"id": "mill", "title": "The mill", "text": "The old mill grinds flour again beside the stream."},
        {"id": "oven", "title": "The oven", "text": "Bread is baked at dawn with flour from the mill and the crème."},
    ]
    assert alice.run("update-search-index", documents=documents) == {"updated": 2, "removed": 0, "total": 2}

    found = alice.get("/search?q=mill")
    assert found["total"] == 2 and found["results"][0]["id"] == "mill"
    assert [each["id"] for each in alice.get("/search?q=creme+bak")["results"]] == ["oven"]
    assert alice.run("search", q="dawn", limit=1)["results"][0]["id"] == "oven"
    assert instance.newcomer().get("/search?q=mill") == {"total": 0, "results": []}
    changed = [{"id": "oven", "text": "Closed."}]
    assert alice.run("update-search-index", documents=changed, remove=["mill", "x"])["removed"] == 1
    assert alice.get("/search?q=flour")["total"] == 0
