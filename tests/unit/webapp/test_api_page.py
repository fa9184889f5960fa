"""The generated tables in docs/http-api.md agree with the code."""

from __future__ import annotations

import re

import pytest

from jobs.engine.client.job import Job
from jobs.engine.errors import TooManyActiveJobs
from webapp.api_page import PAGE, TABLES, codes_table, fields_table, options_table, page
from webapp.options import Options


def first_column(table: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_tables_in_docs_are_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python -m webapp.api_page"


def test_a_page_without_the_place_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table of options"):
        page("# The HTTP API\n")


def test_the_table_of_options_lists_every_option() -> None:
    assert first_column(options_table()) == list(Options.model_fields)


def test_the_table_of_fields_lists_every_public_field_of_a_job() -> None:
    fields = set(first_column(fields_table()))
    assert fields >= Job.__dataclass_fields__.keys() - {"trace"}
    assert "trace" not in fields


def test_the_table_of_codes_lists_the_errors_of_clients_with_their_status() -> None:
    table = codes_table()
    assert f"| 429 | `{TooManyActiveJobs.code}` | " in table
    assert "| 500 |" not in table
    assert "`result_invalid`" not in table


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for table in TABLES.values():
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table().splitlines()}
        assert len(widths) == 1
