"""The vocabulary of a user: the words to learn, by language."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.engine import user_document

DOCUMENT = "vocabulary"
#: The number of jobs whose outcome is remembered, so that a job that runs twice counts its words once.
REMEMBERED_JOBS = 200


@dataclass(frozen=True)
class Word:
    """A word to learn."""

    #: As it is written in the article.
    word: str
    #: Its dictionary form.
    lemma: str
    #: None if no language model is set up.
    translation: str | None
    #: How often the article uses it, in any form.
    count: int
    #: How common it is in its language, on the Zipf scale: 3 is once in a million words, 6 is once in a thousand.
    frequency: float
    #: A sentence of the article that uses it.
    example: str


@dataclass(frozen=True)
class Stored:
    """The changes that an article made to the vocabulary."""

    new_words: int
    updated_words: int
    words: list[Word]


def known_lemmas(language: str) -> set[str]:
    """Return the lemmas of the user's vocabulary in one language."""
    with user_document(DOCUMENT) as document:
        return set(document.get("words", {}).get(language, {}))


def already_stored(job_id: str | None) -> Stored | None:
    """Return the words that an earlier attempt of this job has stored, or None."""
    with user_document(DOCUMENT) as document:
        return _outcome(document, job_id)


def store(
    words: Sequence[Word], met: Collection[str], *, language: str, translated_to: str, url: str, job_id: str | None
) -> Stored:
    """Add words to the user's vocabulary, and count the words in it that the article uses (`met`), in one step.

    If an earlier attempt of the job has stored its words, change nothing and return the outcome of that attempt.
    """
    with user_document(DOCUMENT) as document:
        if earlier := _outcome(document, job_id):
            return earlier
        vocabulary = document.setdefault("words", {}).setdefault(language, {})
        known = set(vocabulary)
        chosen = {word.lemma: word for word in words}
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for word in chosen.values():
            vocabulary.setdefault(word.lemma, _entry(word, url, now))
            if word.translation:
                vocabulary[word.lemma]["translations"][translated_to] = word.translation
        updated = known & ({*met} | {*chosen})
        for lemma in updated:
            vocabulary[lemma]["articles"] += 1
            vocabulary[lemma]["last_met"] = now
        stored = Stored(len(chosen.keys() - known), len(updated), list(chosen.values()))
        _remember(document, job_id, stored)
        return stored


def _entry(word: Word, url: str, now: str) -> dict[str, Any]:
    return {
        "word": word.word,
        "translations": {},
        "example": word.example,
        "source_url": url,
        "articles": 1,
        "first_met": now,
        "last_met": now,
    }


def _outcome(document: dict[str, Any], job_id: str | None) -> Stored | None:
    outcome = document.get("jobs", {}).get(job_id) if job_id else None
    return outcome and Stored(
        outcome["new_words"], outcome["updated_words"], [Word(**word) for word in outcome["words"]]
    )


def _remember(document: dict[str, Any], job_id: str | None, stored: Stored) -> None:
    if job_id:
        jobs = document.setdefault("jobs", {})
        jobs[job_id] = asdict(stored)
        for oldest in list(jobs)[:-REMEMBERED_JOBS]:
            del jobs[oldest]
