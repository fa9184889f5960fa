"""Valid rows are imported, and invalid ones are reported with line and reason."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

from jobs.engine import Fatal
from jobs.imports import import_batch


def test_the_invalid_rows_of_the_sample_are_rejected_and_all_others_are_imported(files, in_job):
    with in_job() as attempt:
        result = import_batch(files.sample("contacts.csv"))
    assert (result.imported, result.rejected) == (34, 6)
    assert [error.line for error in result.errors] == [6, 13, 14, 22, 29, 35]
    reasons = [error.reason for error in result.errors]
    assert reasons[0].startswith("email: ") and reasons[1].startswith("amount: ") and reasons[2].startswith("name: ")
    assert reasons[3] == "the row has 2 values for 3 columns"
    assert reasons[4] == "email: the same address as in line 5"
    assert "decimal places" in reasons[5]
    assert attempt.steps

    items = [json.loads(line) for line in files.content(result.items).splitlines()]
    assert len(items) == 34
    assert items[0]["email"] == "contact0@example.com"
    assert sum(Decimal(item["amount"]) for item in items) == result.total
    rejects = list(csv.DictReader(io.StringIO(files.content(result.rejects).decode())))
    assert [int(row["line"]) for row in rejects] == [error.line for error in result.errors]


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (b"", "name, email, amount"),
        (b"name,amount\nA,1\n", "email"),
        (b"first,second\n1,2\n", "name, email, amount"),
        (b"\x89PNG\r\n\x1a\n\0\0", "name, email, amount"),
    ],
)
def test_a_file_with_missing_columns_is_refused_by_their_names(files, in_job, content, missing):
    with in_job(), pytest.raises(Fatal, match=f"has no column {missing};"):
        import_batch(files.upload(content, "a.csv"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_may_be_in_any_order_and_separated_by_any_delimiter(files, in_job, delimiter):
    rows = [["Amount", "note", "EMAIL", "Name"], ["1.50", "x", " a@example.com ", "Ana"]]
    content = "\ufeff" + "\r\n".join(delimiter.join(row) for row in rows)
    with in_job():
        result = import_batch(files.upload(content.encode(), "a.csv"))
    assert (result.imported, result.total, result.rejects) == (1, Decimal("1.50"), None)


def test_line_numbers_are_right_after_a_value_of_several_lines(files, in_job):
    content = 'name,email,amount\n"A\nB",a@example.com,1\n\nC,bad,2\n"D"x,d@example.com,3\nE,e@example.com,4\n'
    with in_job():
        result = import_batch(files.upload(content.encode(), "a.csv"))
    assert [error.line for error in result.errors] == [5, 6]
    assert result.imported == 2


def test_a_row_that_is_not_utf_8_is_rejected(files, in_job):
    with in_job():
        result = import_batch(
            files.upload(b"name,email,amount\n\xff\xfe,a@example.com,1\nB,b@example.com,2\n", "a.csv")
        )
    assert (result.imported, result.errors[0].line, result.errors[0].reason) == (1, 2, "the row is not text in UTF-8")


def test_only_the_first_errors_are_in_the_result(files, in_job):
    content = "name,email,amount\n" + "x,y,z\n" * 1_000
    with in_job():
        result = import_batch(files.upload(content.encode(), "a.csv"))
    assert (result.rejected, len(result.errors)) == (1_000, 200)
    assert files.content(result.rejects).count(b"\n") == 1_001
