"""A user's search index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import search as module
from jobs.engine.errors import Fatal
from jobs.search import Document, search, update_search_index

CATS = Document(id="cats", title="About cats", text="The cat sat on the mat. Katzen heißen auf Französisch « chats ».")
DOGS = Document(id="dogs", title="About dogs", text="Dogs bark at every cat that they see in the café.")


def found(q: str) -> list[str]:
    return [each.id for each in search(q).results]


@pytest.fixture
def indexed(data_dir: Path) -> None:
    update_search_index([CATS, DOGS])


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("bark", ["dogs"]),
        ("cat", ["cats", "dogs"]),
        ("cat mat", ["cats"]),
        ("CAFE", ["dogs"]),
        ("franz", ["cats"]),
        ("about dogs", ["dogs"]),
        ("horse", []),
    ],
)
def test_documents_with_all_words_are_found_best_first(q: str, ids: list[str]) -> None:
    assert found(q) == ids


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("q", ['"', "AND", "cat OR", "NEAR(", "title:x", "*", "-", "cat'; DROP TABLE ids --", "^"])
def test_operators_in_a_query_are_ordinary_words(q: str) -> None:
    assert search(q).total >= 0


@pytest.mark.usefixtures("indexed")
def test_a_result_has_a_snippet_with_the_words() -> None:
    [result] = search("bark").results
    assert result.title == "About dogs"
    assert "Dogs bark at every cat" in result.snippet


@pytest.mark.usefixtures("indexed")
def test_a_document_is_replaced_and_removed() -> None:
    changed = update_search_index([Document(id="cats", text="It is about horses now.")], ["dogs", "unknown"])

    assert (changed.updated, changed.removed, changed.total) == (1, 1, 1)
    assert found("cat") == []
    assert found("horses") == ["cats"]


def test_each_user_has_their_own_index(in_job: Callable[..., Any]) -> None:
    with in_job("job-1", user="alice"):
        update_search_index([CATS])
        assert found("mat") == ["cats"]
    with in_job("job-2", user="bob"):
        assert found("mat") == []


def test_an_update_that_makes_the_index_too_large_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update_search_index([CATS])
    monkeypatch.setattr(module, "MAX_INDEX_BYTES", 60_000)
    with pytest.raises(Fatal, match="Remove documents"):
        update_search_index([Document(id="much", text="".join(f"word{number} " for number in range(20_000)))])
    assert found("mat") == ["cats"]
    assert found("word1") == []
