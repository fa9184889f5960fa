"""The words a user is learning, kept per user and language."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.engine import user_document

DOCUMENT = "vocabulary"
#: Jobs whose outcome is remembered, so that one that runs again after it stored its words counts nothing twice.
REMEMBERED_JOBS = 200


@dataclass(frozen=True)
class Word:
    """A word to learn."""

    #: As the article has it.
    word: str
    #: As a dictionary has it.
    lemma: str
    #: None if nothing that translates is installed or set up.
    translation: str | None
    #: How often the article uses it, in any form.
    count: int
    #: How common it is in its language, on the Zipf scale: 3 is once in a million words, 6 once in a thousand.
    frequency: float
    #: A sentence of the article that uses it.
    example: str


@dataclass(frozen=True)
class Stored:
    """What storing an article's words has changed."""

    new_words: int
    updated_words: int
    words: list[Word]


def known_lemmas(language: str) -> set[str]:
    """The lemmas of the user's vocabulary in one language."""
    with user_document(DOCUMENT) as document:
        return set(document.get("words", {}).get(language, {}))


def already_stored(job_id: str | None) -> Stored | None:
    """What this very job has stored, if an earlier attempt of it got that far."""
    with user_document(DOCUMENT) as document:
        return _outcome(document, job_id)


def store(
    words: Sequence[Word], met: Collection[str], *, language: str, translated_to: str, url: str, job_id: str | None
) -> Stored:
    """Add words to the user's vocabulary, and note which of its words an article has `met`, in one step.

    A job that has stored before changes nothing, and gets what it got then.
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
