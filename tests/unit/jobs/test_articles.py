"""Learning words from an article, with a page and a language model on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import articles
from jobs.articles import (
    ArticleUnreachable,
    CouldNotFetchArticle,
    NoArticleText,
    Vocabulary,
    extract_vocabulary,
)
from jobs.engine.author.blobs import read_blob, user_path
from jobs.engine.author.retry import Retry
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import AddressRefused, InvalidParameters
from jobs.language_model import LanguageModelRefused, LanguageModelUnavailable, UnusableAnswer
from jobs.words import candidates

PAGE = (Path(__file__).parents[3] / "demo" / "samples" / "articulo.html").read_bytes()
HTML = {"content-type": "text/html; charset=utf-8"}

WORDS = [
    {"word": "cosecha", "lemma": "cosecha", "translation": "harvest"},
    {"word": "arroyo", "lemma": "arroyo", "translation": "stream"},
]


@pytest.fixture
def url(site: Any, data_dir: Path, configure: Callable[..., None]) -> str:
    """Return the address of the sample page."""
    configure(ALLOWED_PRIVATE_HOSTS=site.host)
    site.answer = lambda *_: (200, HTML, PAGE)
    return f"http://{site.host}/molino.html"


@pytest.fixture
def model(language_model: Any, configure: Callable[..., None]) -> Any:
    """A language model that answers WORDS, unless a test sets another answer with `say`."""
    configure(LLM_BASE_URL=f"http://{language_model.host}/v1", LLM_API_KEY="sk-secret", LLM_MODEL="little-llama")

    def say(content: object, status: int = 200) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        message = {"role": "assistant", "content": text}
        completion = {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "little-llama",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        }
        answer = completion if status == 200 else {"error": {"message": "no, and your key is sk-secret"}}
        language_model.answer = lambda *_: (
            status,
            {"content-type": "application/json"},
            json.dumps(answer).encode(),
        )

    language_model.say = say
    say({"words": WORDS})
    return language_model


def lemmas(vocabulary: Vocabulary) -> list[str]:
    return [word.lemma for word in vocabulary.words]


def stored_words(user: str = "alice", language: str = "es") -> dict[str, Any]:
    document = json.loads(read_blob(user_path("documents/vocabulary.json", user)))
    return dict(document["words"][language])


# --- offline --------------------------------------------------------------------


def test_words_are_chosen_only_from_the_article(url: str, in_job: Callable[..., Any]) -> None:
    with in_job():
        vocabulary = extract_vocabulary(url, word_count=12)
    assert (vocabulary.new_words, vocabulary.updated_words, len(vocabulary.words)) == (12, 0, 12)
    assert vocabulary.source_url == url
    assert {"molino", "harina", "cosecha", "trigo"} <= set(lemmas(vocabulary))
    of_the_menu_and_names = {"horóscopo", "suscripción", "galleta", "lotería", "julián", "teresa", "ortega"}
    too_common = {"de", "que", "pueblo", "año", "agua"}
    assert not (of_the_menu_and_names | too_common) & set(lemmas(vocabulary))


def test_a_word_has_its_count_its_frequency_and_an_example(url: str, in_job: Callable[..., Any]) -> None:
    with in_job():
        words = {word.lemma: word for word in extract_vocabulary(url, word_count=12).words}
    harvest = words["cosecha"]
    assert (harvest.word, harvest.count, harvest.translation) == ("cosecha", 2, None)
    assert 3 < harvest.frequency < 5
    assert "cosecha de trigo de nuestros campos" in harvest.example


def test_the_result_says_that_nothing_was_translated(url: str, in_job: Callable[..., Any]) -> None:
    with in_job():
        vocabulary = extract_vocabulary(url)
    assert vocabulary.chosen_by == "word frequencies"
    assert vocabulary.translations_from.startswith("Not translated")
    assert "LLM_BASE_URL" in vocabulary.translations_from


def test_each_step_reports_its_progress(url: str, in_job: Callable[..., Any]) -> None:
    with in_job() as attempt:
        extract_vocabulary(url, word_count=3)
    assert attempt.steps == [
        (5, "Fetching the article"),
        (30, "Reading the article"),
        (45, "Choosing words"),
        (85, "Storing the words"),
        (100, "3 new words"),
    ]


def test_known_words_are_left_out_and_counted(url: str, in_job: Callable[..., Any]) -> None:
    with in_job("first"):
        first = extract_vocabulary(url, word_count=5)
    with in_job("second"):
        second = extract_vocabulary(url, word_count=5)
    assert not set(lemmas(first)) & set(lemmas(second))
    assert (second.new_words, second.updated_words) == (5, 5)
    assert {stored_words()[lemma]["articles"] for lemma in lemmas(first)} == {2}
    assert {stored_words()[lemma]["articles"] for lemma in lemmas(second)} == {1}


def test_each_user_has_their_own_vocabulary(url: str, in_job: Callable[..., Any]) -> None:
    with in_job("first", user="alice"):
        of_alice = extract_vocabulary(url, word_count=5)
    with in_job("second", user="bob"):
        of_bob = extract_vocabulary(url, word_count=5)
    assert lemmas(of_alice) == lemmas(of_bob)
    assert of_bob.new_words == 5
    assert stored_words("alice").keys() == stored_words("bob").keys()


def test_a_job_that_runs_again_counts_its_words_once(url: str, in_job: Callable[..., Any], site: Any) -> None:
    with in_job("same"):
        first = extract_vocabulary(url, word_count=5)
    fetched = len(site.seen)
    with in_job("same"):
        assert extract_vocabulary(url, word_count=5) == first
    assert len(site.seen) == fetched
    assert {entry["articles"] for entry in stored_words().values()} == {1}


def test_an_article_without_new_words_adds_none(url: str, in_job: Callable[..., Any], site: Any) -> None:
    site.answer = lambda *_: (200, {"content-type": "text/plain"}, b"La cosecha.")
    with in_job("first"):
        extract_vocabulary(url)
    with in_job("second"):
        vocabulary = extract_vocabulary(url)
    assert (vocabulary.new_words, vocabulary.updated_words, vocabulary.words) == (0, 1, [])


def test_the_function_runs_outside_a_job(url: str) -> None:
    assert extract_vocabulary(url, word_count=3).new_words == 3


def test_german_nouns_are_not_mistaken_for_names() -> None:
    text = "Der alte Bäcker kaufte Hefe. Frau Schnabelwitz wartete mit der Hefe auf den Bäcker und aß Brötchen."
    found = {candidate.lemma for candidate in candidates(text, "de")}
    assert {"bäcker", "brötchen"} <= found
    assert "schnabelwitz" not in found


# --- fetching -------------------------------------------------------------------


def is_tried_again(error: BaseException) -> bool:
    policy = JobType.of(extract_vocabulary).retry
    assert isinstance(policy, Retry)
    return policy.applies_to(error)


@pytest.mark.parametrize(
    ("status", "says", "again"),
    [
        (403, "Could not fetch article: 403 Forbidden", False),
        (404, "Could not fetch article: 404 Not Found", False),
        (429, "Could not fetch article: 429 Too Many Requests", True),
        (500, "Could not fetch article: 500 Internal Server Error", True),
        (503, "Could not fetch article: 503 Service Unavailable", True),
        (599, "Could not fetch article: 599", True),
    ],
)
def test_an_http_error_is_reported_with_its_status(url: str, site: Any, status: int, says: str, again: bool) -> None:
    site.answer = lambda *_: (status, HTML, b"")
    with pytest.raises(CouldNotFetchArticle) as failed:
        extract_vocabulary(url)
    assert str(failed.value) == says
    assert is_tried_again(failed.value) is again


def test_an_unreachable_server_is_retried(data_dir: Path, configure: Callable[..., None]) -> None:
    configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1:9")
    with pytest.raises(ArticleUnreachable, match="Could not fetch article: ") as failed:
        extract_vocabulary("http://127.0.0.1:9/")
    assert is_tried_again(failed.value)


def test_a_private_address_is_refused_at_submit_and_when_the_job_runs(data_dir: Path, site: Any) -> None:
    url = f"http://{site.host}/"
    with pytest.raises(InvalidParameters) as refused:
        JobType.of(extract_vocabulary).parameters.validate({"url": url})
    assert refused.value.faults[0].pointer == "/url"
    with pytest.raises(AddressRefused) as failed:
        extract_vocabulary(url)
    assert not is_tried_again(failed.value)
    assert site.seen == []


def test_a_page_that_is_too_large_is_not_retried(url: str, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(articles, "MAX_PAGE_BYTES", 1000)
    with pytest.raises(CouldNotFetchArticle, match="over 1000 bytes") as failed:
        extract_vocabulary(url)
    assert not is_tried_again(failed.value)


def test_a_file_that_is_not_a_web_page_is_refused(url: str, site: Any) -> None:
    site.answer = lambda *_: (200, {"content-type": "application/pdf"}, b"%PDF-1.7")
    with pytest.raises(CouldNotFetchArticle, match="it is application/pdf, not a web page"):
        extract_vocabulary(url)


def test_a_page_without_an_article_is_an_error(url: str, site: Any) -> None:
    site.answer = lambda *_: (200, HTML, b"<html><body></body></html>")
    with pytest.raises(NoArticleText, match="No article text was found"):
        extract_vocabulary(url)


def test_a_page_in_an_old_encoding_is_read(url: str, site: Any) -> None:
    old = PAGE.decode().replace('<meta charset="utf-8">', "").encode("latin-1", "xmlcharrefreplace")
    site.answer = lambda *_: (200, {"content-type": "text/html; charset=ISO-8859-1"}, old)
    assert "albañil" in lemmas(extract_vocabulary(url, word_count=100))


@pytest.mark.parametrize(("browser", "mark"), [("firefox", "Firefox/"), ("safari", "Version/"), (None, "Workhorse/")])
def test_a_request_imitates_the_chosen_browser(url: str, site: Any, browser: Any, mark: str) -> None:
    extract_vocabulary(url, word_count=1, browser=browser)
    assert mark in site.seen[0][2]["user-agent"]


@pytest.mark.parametrize(
    "change",
    [
        {"word_count": 0},
        {"word_count": 101},
        {"source_lang": "tlh"},
        {"target_lang": "English"},
        {"browser": "lynx"},
        {"prompt": "x" * 2001},
        {"url": "ftp://example.com/a"},
        {"url": "example.com"},
    ],
)
def test_parameters_out_of_bounds_are_refused_at_submit(data_dir: Path, change: dict[str, Any]) -> None:
    parameters = JobType.of(extract_vocabulary).parameters
    valid = {"url": "https://example.com/a", "source_lang": "es", "target_lang": "en", "word_count": 10}
    parameters.validate(valid)
    with pytest.raises(InvalidParameters):
        parameters.validate(valid | change)


# --- with a language model --------------------------------------------------------


def test_a_language_model_chooses_and_translates(url: str, model: Any, in_job: Callable[..., Any]) -> None:
    with in_job():
        vocabulary = extract_vocabulary(url, word_count=5, prompt="Words about farming")
    assert [(w.lemma, w.translation, w.count) for w in vocabulary.words] == [
        ("cosecha", "harvest", 2),
        ("arroyo", "stream", 3),
    ]
    assert vocabulary.chosen_by == "language model"
    assert vocabulary.translations_from == "Translated by a language model; it can be wrong."
    assert stored_words()["cosecha"]["translations"] == {"en": "harvest"}
    ((method, path, headers, body),) = model.seen
    assert (method, path, headers["authorization"]) == ("POST", "/v1/chat/completions", "Bearer sk-secret")
    asked = json.loads(body)
    assert asked["model"] == "little-llama"
    instructions, article = (message["content"] for message in asked["messages"])
    assert "Words about farming" in instructions
    assert "ruedas del viejo molino" in article
    assert "Horóscopo" not in article


def test_a_known_word_that_the_model_chooses_is_updated(url: str, model: Any, in_job: Callable[..., Any]) -> None:
    with in_job("first"):
        extract_vocabulary(url)
    with in_job("second"):
        vocabulary = extract_vocabulary(url)
    assert (vocabulary.new_words, vocabulary.updated_words, len(vocabulary.words)) == (0, 2, 2)
    instructions = json.loads(model.seen[1][3])["messages"][0]["content"]
    assert "already known: arroyo, cosecha" in instructions


def test_words_beyond_the_requested_number_are_dropped(url: str, model: Any) -> None:
    assert len(extract_vocabulary(url, word_count=1).words) == 1


def test_an_answer_in_a_code_fence_is_read(url: str, model: Any) -> None:
    model.say(f"```json\n{json.dumps({'words': WORDS})}\n```")
    assert extract_vocabulary(url).new_words == 2


def test_a_lemma_the_model_leaves_out_is_found(url: str, model: Any) -> None:
    model.say({"words": [{"word": "espantaron", "translation": "scared away"}]})
    assert lemmas(extract_vocabulary(url)) == ["espantar"]


def test_a_second_attempt_reuses_the_answer_of_the_first(url: str, model: Any, in_job: Callable[..., Any]) -> None:
    with in_job("same") as attempt:
        extract_vocabulary(url)
    with in_job("other", user="bob", checkpoint=attempt.checkpoint):
        assert extract_vocabulary(url).new_words == 2
    assert len(model.seen) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("Sure! Here are some words.", "Invalid JSON"),
        ("", "empty"),
        ({"vocabulary": []}, "words: Field required"),
        ({"words": [{"word": "cosecha"}]}, r"words\.0\.translation: Field required"),
        ({"words": [{"word": "cosecha", "translation": None}]}, r"words\.0\.translation"),
        ({"words": "cosecha"}, "words: "),
    ],
)
def test_an_answer_of_another_shape_is_a_clear_error_and_stores_nothing(
    url: str, model: Any, answer: object, says: str, data_dir: Path
) -> None:
    model.say(answer)
    with pytest.raises(UnusableAnswer, match=says) as failed:
        extract_vocabulary(url)
    assert is_tried_again(failed.value)
    assert not (data_dir / "storage").exists()


@pytest.mark.parametrize("body", [b"{}", b"not json", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}'])
def test_a_response_that_is_not_of_the_chat_api_is_a_clear_error(url: str, model: Any, body: bytes) -> None:
    model.answer = lambda *_: (200, {"content-type": "application/json"}, body)
    with pytest.raises(UnusableAnswer, match="The language model's answer"):
        extract_vocabulary(url)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_model_is_retried(url: str, model: Any, status: int) -> None:
    model.say("", status)
    with pytest.raises(LanguageModelUnavailable, match=str(status)) as failed:
        extract_vocabulary(url)
    assert is_tried_again(failed.value)
    assert len(model.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_of_the_model_is_not_retried_and_shows_no_key(url: str, model: Any, status: int) -> None:
    model.say("", status)
    with pytest.raises(LanguageModelRefused, match=f"{status}.*LLM_API_KEY") as failed:
        extract_vocabulary(url)
    assert not is_tried_again(failed.value)
    assert "sk-secret" not in str(failed.value)


def test_an_unreachable_model_is_retried(url: str, configure: Callable[..., None]) -> None:
    configure(LLM_BASE_URL="http://127.0.0.1:9/v1")
    with pytest.raises(LanguageModelUnavailable, match="can't be reached"):
        extract_vocabulary(url)
