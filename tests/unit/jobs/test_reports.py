"""A report has a title, figures, rows and a chart, and a mail has its address."""

from __future__ import annotations

import io
from email import message_from_bytes, policy

import pypdf
import pytest

from jobs.engine import Fatal
from jobs.reports import generate_report


def test_the_report_of_the_sample_has_its_text_and_its_chart(files, in_job):
    with in_job() as attempt:
        result = generate_report("Sales <2026> & more", files.sample("sales.csv"))
    content = files.content(result)
    assert content.startswith(b"%PDF-")
    reader = pypdf.PdfReader(io.BytesIO(content))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert reader.metadata is not None and reader.metadata.title == "Sales <2026> & more"
    for words in ("Sales <2026> & more", "48 rows", "Figures", "units by month", "2026-12", "North"):
        assert words in text, words
    # Twelve bars, each a filled rectangle of the chart's colour.
    drawing = b"".join(page.get_contents().get_data() for page in reader.pages)  # type: ignore[union-attr]
    assert drawing.count(b".184314 .435294 .623529 rg") >= 12
    assert (result.rows, result.mailed_to) == (48, None)
    assert result.filename == "Sales <2026> & more.pdf"
    assert attempt.steps[-1][0] >= 80


def test_the_figures_are_right(files, in_job):
    with in_job():
        result = generate_report("F", files.upload(b"what,n\na,1\nb,2.5\na,-3\n", "a.csv"))
    text = pypdf.PdfReader(io.BytesIO(files.content(result))).pages[0].extract_text()
    assert all(figure in text for figure in ("0.50", "0.17", "-3.00", "2.50"))


def test_a_mail_has_the_address_of_the_report(files, in_job, data_dir):
    with in_job():
        result = generate_report("Sales", files.sample("sales.csv"), email="alice@example.com")
    [mail] = (data_dir / "mail").glob("*.eml")
    message = message_from_bytes(mail.read_bytes(), policy=policy.default)
    assert message["To"] == result.mailed_to == "alice@example.com"
    assert f"/api/v1/files/{result.file_id}/content" in message.get_content()


def test_the_same_rows_make_the_same_report(files, in_job):
    with in_job("one"):
        first = generate_report("R", files.sample("sales.csv"))
    with in_job("two"):
        assert generate_report("R", files.sample("sales.csv")).sha256 == first.sha256


@pytest.mark.parametrize(
    "content",
    [
        b"only,words\na,b\n",
        b"n\n1\n2\n",
        b"n,\xff\n1,\xff\n",
        "a,b\n<b>ü</b>,日本\n".encode(),
        b"a,b\n1e9999,NaN\n",
        b"a,b\n1,2\n" * 300,
    ],
)
def test_rows_of_any_kind_become_a_report(files, in_job, content):
    with in_job():
        result = generate_report("R", files.upload(content, "a.csv"))
    assert len(pypdf.PdfReader(io.BytesIO(files.content(result))).pages) >= 1


@pytest.mark.parametrize(("content", "sentence"), [(b"", "must have from 1 to 50 columns"), (b"a,b\n", "has no rows")])
def test_a_file_without_rows_is_refused_with_a_reason(files, in_job, content, sentence):
    with in_job(), pytest.raises(Fatal, match=sentence):
        generate_report("R", files.upload(content, "a.csv"))
