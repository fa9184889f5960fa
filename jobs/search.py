"""A search index for each user: SQLite's full-text search in one small file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from jobs.engine import Fatal, Retry, TryAgainLater, blob_exists, job, read_blob, track, user_blob, user_path

if TYPE_CHECKING:
    import sqlite3

INDEX = "search.sqlite"
#: Each search reads the whole index.
MAX_INDEX_BYTES = 16 * 1_048_576
SNIPPET_WORDS = 24
MAX_QUERY_WORDS = 32

DocumentId = Annotated[str, Field(min_length=1, max_length=200, examples=["page-1"])]
Query = Annotated[str, Field(min_length=1, max_length=1_000, examples=["old mill"])]


class Document(BaseModel):
    """A text to be searched."""

    model_config = ConfigDict(extra="forbid")

    id: DocumentId
    title: str = Field("", max_length=1_000)
    text: str = Field(max_length=500_000)


@dataclass(frozen=True)
class Indexed:
    updated: int
    removed: int
    #: The number of documents in the index now.
    total: int


@dataclass(frozen=True)
class Found:
    id: str
    title: str
    #: The part of the text with the words.
    snippet: str
    #: Higher is better. Scores of one search can be compared.
    score: float


@dataclass(frozen=True)
class SearchResults:
    #: The number of matching documents. `results` has the best of them.
    total: int
    results: list[Found]


@job(priority="low", timeout=300, retry=Retry(max=5, on=(TryAgainLater,)))
def update_search_index(
    documents: Annotated[list[Document], Field(max_length=1_000)] = [],  # noqa: B006 (nothing changes it)
    remove: Annotated[list[DocumentId], Field(max_length=1_000)] = [],  # noqa: B006
) -> Indexed:
    """Add documents to your search index, replace those with the same ids, and remove others.

    `GET /search?q=…` and the job type `search` find the documents.
    """
    with user_blob(INDEX) as blob, _opened(blob.data) as index:
        removed = sum(_remove(index, each) for each in remove)
        for document in track(documents, "Indexing"):
            _remove(index, document.id)
            row = index.execute("INSERT INTO ids (id) VALUES (?)", (document.id,)).lastrowid
            found = (row, document.id, document.title, document.text)
            index.execute("INSERT INTO documents (rowid, id, title, text) VALUES (?, ?, ?, ?)", found)
        index.commit()
        index.execute("VACUUM")
        data = index.serialize()
        if len(data) > MAX_INDEX_BYTES:
            raise Fatal(
                f"Your search index would have {len(data):,} bytes; {MAX_INDEX_BYTES:,} are allowed. "
                "Remove documents from it first."
            )
        [total] = index.execute("SELECT count(*) FROM ids").fetchone()
        blob.data = data
    return Indexed(updated=len(documents), removed=removed, total=total)


@job(priority="high", timeout=60)
def search(q: Query, limit: Annotated[int, Field(ge=1, le=100)] = 10) -> SearchResults:
    """Find the documents in your search index that contain all words of `q`. The last word may be incomplete.

    `GET /search?q=…` returns the results immediately, without a job. Use this job type in pipelines.
    """
    place = user_path(INDEX)
    words = re.findall(r"\w+", q)[:MAX_QUERY_WORDS]
    if not words or not blob_exists(place):
        return SearchResults(0, [])
    # Each word is quoted, so that FTS5 does not take it for an operator.
    wanted = " ".join(f'"{word}"' for word in words) + "*"
    with _opened(read_blob(place)) as index:
        [total] = index.execute("SELECT count(*) FROM documents WHERE documents MATCH ?", (wanted,)).fetchone()
        rows = index.execute(
            "SELECT id, title, snippet(documents, 2, '', '', '…', ?), -bm25(documents, 0, 5, 1) AS score "
            "FROM documents WHERE documents MATCH ? ORDER BY score DESC, id LIMIT ?",
            (SNIPPET_WORDS, wanted, limit),
        )
        return SearchResults(total, [Found(row[0], row[1], row[2], round(row[3], 6)) for row in rows])


@contextmanager
def _opened(data: bytes) -> Iterator[sqlite3.Connection]:
    """Open an index in memory. It is empty if `data` is."""
    import sqlite3

    index = sqlite3.connect(":memory:")
    try:
        if data:
            index.deserialize(data)
        else:
            index.execute("CREATE TABLE ids (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)")
            index.execute(
                "CREATE VIRTUAL TABLE documents USING fts5 "
                "(id UNINDEXED, title, text, tokenize = 'unicode61 remove_diacritics 2')"
            )
        yield index
    finally:
        index.close()


def _remove(index: sqlite3.Connection, document_id: str) -> bool:
    found = index.execute("SELECT number FROM ids WHERE id = ?", (document_id,)).fetchone()
    if found is None:
        return False
    index.execute("DELETE FROM documents WHERE rowid = ?", found)
    index.execute("DELETE FROM ids WHERE number = ?", found)
    return True
