"""The text and the facts of a PDF are right, each step runs once, and unreadable files are refused with a reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pypdf
import pytest

from jobs import facts, pdfs
from jobs.engine import Fatal, File, checkpoint
from jobs.pdfs import extract_pdf
from tests.hostile import encrypted_pdf, pdf_bomb


def test_the_facts_of_the_sample_are_found_and_normalised(files, in_job):
    with in_job() as attempt:
        result = extract_pdf(files.sample("contract.pdf"))
    assert (result.pages, result.extracted_by) == (3, "rules")
    assert result.dates == [date(2026, 3, 14), date(2026, 5, 1), date(2026, 6, 30), date(2028, 3, 1)]
    assert [(amount.value, amount.currency) for amount in result.amounts] == [
        (Decimal("187500.00"), "EUR"),
        (Decimal("18750.50"), "EUR"),
        (Decimal("120.0"), "USD"),
    ]
    assert result.emails == ["marta.lozano@velonorte.example", "invoices@zaragoza.example"]
    assert result.headings == ["1. Agreement on the delivery of bicycles", "2. Price and payment", "3. Warranty"]
    assert "Whoever rides without a helmet" in files.content(result.text).decode()
    assert json.loads(files.content(result.facts))["dates"][0] == "2026-03-14"
    percents = [percent for percent, _ in attempt.steps]
    assert [percent for percent in (25, 50, 75, 100) if percent in percents] == [25, 50, 75, 100]
    assert percents == sorted(percents)


def noted(name: str, done: list[str]) -> Callable[..., Any]:
    """Return the step of that name, which records that it ran."""
    step = getattr(pdfs, name)

    def noting(*args: Any) -> Any:
        done.append(name)
        return step(*args)

    return noting


@pytest.mark.parametrize("reached", range(5))
def test_an_interrupted_job_continues_with_the_step_that_it_had_reached(files, in_job, monkeypatch, reached):
    done: list[str] = []
    for name in ("_save_text", "_extract", "_normalise", "_save_facts"):
        monkeypatch.setattr(pdfs, name, noted(name, done))
    file = files.sample("contract.pdf")
    with in_job() as first:
        whole = extract_pdf(file)
        steps = list(first.checkpoint)
    done.clear()
    kept = {name: first.checkpoint[name] for name in steps[:reached]}
    with in_job(checkpoint=kept):
        result = extract_pdf(file)
    # A step that runs again stores its file again.
    again = {"text", "facts"}
    assert result.model_dump(exclude=again) == whole.model_dump(exclude=again)
    assert done == ["_save_text", "_extract", "_normalise", "_save_facts"][reached:]


def test_a_language_model_extracts_the_facts_if_one_is_set_up(files, in_job, configure, language_model):
    found = {"dates": ["1 May 2026", "soon"], "amounts": ["1,5 EUR"], "emails": ["X@Y.example"], "headings": ["Hi"]}
    answer = {"choices": [{"message": {"role": "assistant", "content": json.dumps(found)}}]}
    language_model.answer = lambda *_: (200, {"content-type": "application/json"}, json.dumps(answer).encode())
    configure(LLM_BASE_URL=f"http://{language_model.host}/v1")
    with in_job():
        result = extract_pdf(files.sample("contract.pdf"))
    assert result.extracted_by == "language model"
    assert (result.dates, result.emails) == ([date(2026, 5, 1)], ["x@y.example"])
    assert b"Zaragoza" in language_model.seen[0][3]


def blank() -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda _: encrypted_pdf(), "encrypted"),
        (lambda _: pdf_bomb(), "unpacks to far more data"),
        (lambda _: blank(), "contains no text"),
        (lambda _: b"", "damaged or is not a PDF"),
        (lambda _: b"hello" * 100, "damaged or is not a PDF"),
        (lambda files: (files.samples / "contract.pdf").read_bytes()[:900], "damaged|no text"),
    ],
    ids=["encrypted", "bomb", "blank", "empty", "text", "cut off"],
)
def test_an_unreadable_pdf_is_refused_with_a_reason(files, in_job, made, sentence):
    with in_job(), pytest.raises(Fatal, match=sentence):
        extract_pdf(files.upload(made(files), "a.pdf"))


def test_the_function_repeats_every_step_outside_a_job(data_dir, files):
    first = extract_pdf(File(files.samples / "contract.pdf"))
    assert extract_pdf(File(files.samples / "contract.pdf")).dates == first.dates
    assert not checkpoint


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("due 2026-02-31", []),
        ("31.12.2025", [date(2025, 12, 31)]),
        ("Sept. 5, 2026", [date(2026, 9, 5)]),
        ("on 5 december 2024.", [date(2024, 12, 5)]),
    ],
)
def test_dates_are_read(text, day):
    assert facts.normalise(facts.find(text)).dates == day


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("€1,234.5", "1234.50", "EUR"),
        ("1'000.00 CHF", "1000.00", "CHF"),
        ("£12", "12", "GBP"),
        ("1.000.000 EUR", "1000000", "EUR"),
    ],
)
def test_amounts_are_read(text, value, currency):
    [amount] = facts.normalise(facts.find(text)).amounts
    assert (amount.value, amount.currency) == (Decimal(value), currency)
