"""Making PDF reports with figures, a chart and a table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import EmailStr, Field

from jobs.engine import Fatal, File, Retry, SavedFile, job, progress, save_file
from jobs.mail import Line, MailNotTaken, send_email

MAX_ROWS = 100_000
MAX_COLUMNS = 50
#: The number of a user's newest jobs that a report covers.
MAX_JOBS = 10_000
SHOWN_ROWS, SHOWN_COLUMNS = 200, 8
CELL_CHARACTERS = 40
BARS = 12


class Report(SavedFile):
    rows: int
    #: The address that was notified by e-mail.
    mailed_to: str | None


@dataclass
class _Table:
    columns: list[str]
    rows: list[list[str]]

    def numbers(self, column: int) -> list[Decimal] | None:
        """Return the values of a column. None if any of them is not a number."""
        values = [_number(row[column]) for row in self.rows if row[column].strip()]
        return [value for value in values if value is not None] if values and None not in values else None


@job(timeout=600, retry=Retry(max=5, delay=5, max_delay=600, on=(MailNotTaken,)), preload=("reportlab.platypus",))
def generate_report(
    title: Annotated[Line, Field(min_length=1, max_length=200)],
    file: File | None = None,
    email: EmailStr | None = None,
) -> Report:
    """Make a PDF report from a CSV file, with figures, a bar chart and a table.

    Without a file, the report is about your own jobs: the number and the run time of the jobs of each type and status.

    The bars are the sums of the first column of numbers, grouped by the first column of words. If you give an e-mail
    address, a message with the address of the report is sent when it is ready.
    """
    table = _read(file) if file else _of_own_jobs()
    progress(40, "Drawing")
    pdf = _drawn(title, table)
    progress(80, "Saving")
    saved = save_file(pdf, f"{PurePath(title).name or 'report'}.pdf", "application/pdf")
    if email is not None:
        send_email(email, f"Report: {title}"[:500], _message(title, saved))
    return Report(**saved.model_dump(), rows=len(table.rows), mailed_to=email)


def _message(title: str, saved: SavedFile) -> str:
    return (
        f"The report “{title}” is ready ({saved.size:,} bytes).\n\n"
        f"Download it with your API key, or signed in, from\n  /api/v1/files/{saved.file_id}/content\n"
    )


def _of_own_jobs() -> _Table:
    """Count the user's jobs by type and status, and add up the seconds that the ended ones took."""
    from jobs.engine import own_jobs

    counts: dict[tuple[str, str], int] = {}
    seconds: dict[tuple[str, str], float] = {}
    for each in own_jobs(MAX_JOBS):
        kind = (each.job_type, str(each.status))
        counts[kind] = counts.get(kind, 0) + 1
        if each.started_at and each.completed_at:
            seconds[kind] = seconds.get(kind, 0.0) + (each.completed_at - each.started_at).total_seconds()
    rows = [[*kind, str(counts[kind]), f"{seconds.get(kind, 0.0):.2f}"] for kind in sorted(counts)]
    return _Table(["job type", "status", "jobs", "seconds"], rows)


def _read(file: File) -> _Table:
    with file.open() as source, io.TextIOWrapper(source, "utf-8-sig", "replace", newline="") as text:
        try:
            reader = csv.reader(text)
            columns = next(reader, [])
            if not columns or len(columns) > MAX_COLUMNS:
                raise Fatal(f"The CSV file must have from 1 to {MAX_COLUMNS} columns, named in its first line.")
            rows: list[list[str]] = []
            for row in reader:
                if len(rows) == MAX_ROWS:
                    raise Fatal(f"The CSV file has more than {MAX_ROWS:,} rows.")
                if row:
                    rows.append((row + [""] * len(columns))[: len(columns)])
        except csv.Error as error:
            raise Fatal(f"The file can't be read as CSV: {error}.") from error
    if not rows:
        raise Fatal("The CSV file has no rows after its first line.")
    return _Table(columns, rows)


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) < 30 else None


def _drawn(title: str, table: _Table) -> bytes:
    from xml.sax.saxutils import escape

    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    styles = getSampleStyleSheet()
    numbers = {column: values for column in range(len(table.columns)) if (values := table.numbers(column))}
    story: list[Any] = [
        Paragraph(escape(title), styles["Title"]),
        Paragraph(f"{len(table.rows):,} rows", styles["Normal"]),
    ]
    if numbers:
        story += [Spacer(1, 12), Paragraph("Figures", styles["Heading2"]), _figures(table, numbers)]
    if bars := _bars(table, numbers):
        story += [Spacer(1, 12), Paragraph(escape(bars[0]), styles["Heading2"]), _chart(bars[1])]
    heading = "Rows" if len(table.rows) <= SHOWN_ROWS else f"The first {SHOWN_ROWS} rows"
    story += [Spacer(1, 12), Paragraph(heading, styles["Heading2"]), _rows(table)]
    target = io.BytesIO()
    # Invariant: the same rows always make the same bytes.
    SimpleDocTemplate(target, pagesize=A4, title=title, author="Workhorse", invariant=1).build(story)
    return target.getvalue()


def _figures(table: _Table, numbers: dict[int, list[Decimal]]) -> Any:
    lines = [["", "sum", "mean", "smallest", "largest"]]
    for column, values in list(numbers.items())[:SHOWN_COLUMNS]:
        figures = (sum(values, Decimal(0)), sum(values, Decimal(0)) / len(values), min(values), max(values))
        lines.append([_cell(table.columns[column]), *(f"{figure:,.2f}" for figure in figures)])
    return _grid(lines)


def _bars(table: _Table, numbers: dict[int, list[Decimal]]) -> tuple[str, dict[str, Decimal]] | None:
    """Return the title of the chart and its bars, which are the largest sums."""
    words = next((column for column in range(len(table.columns)) if column not in numbers), None)
    if words is None or not numbers:
        return None
    measure = next(iter(numbers))
    sums: dict[str, Decimal] = {}
    for row in table.rows:
        sums[row[words]] = sums.get(row[words], Decimal(0)) + (_number(row[measure]) or 0)
    largest = sorted(sums, key=lambda name: -abs(sums[name]))[:BARS]
    kept = {name: total for name, total in sums.items() if name in largest}
    return f"{_cell(table.columns[measure])} by {_cell(table.columns[words])}", kept


def _chart(bars: dict[str, Decimal]) -> Any:
    from reportlab.graphics.charts.barcharts import VerticalBarChart
    from reportlab.graphics.shapes import Drawing
    from reportlab.lib.colors import HexColor

    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 50, 60, 390, 150
    chart.data = [[float(total) for total in bars.values()]]
    chart.categoryAxis.categoryNames = [_cell(name)[:16] for name in bars]
    chart.categoryAxis.labels.angle, chart.categoryAxis.labels.boxAnchor = 35, "ne"
    chart.valueAxis.valueMin = min(0.0, *chart.data[0], 0.0)
    chart.valueAxis.labelTextFormat = "%g"
    chart.bars[0].fillColor = HexColor("#2f6f9f")
    drawing = Drawing(450, 220)
    drawing.add(chart)
    return drawing


def _rows(table: _Table) -> Any:
    lines = [table.columns, *table.rows[:SHOWN_ROWS]]
    return _grid([[_cell(value) for value in line[:SHOWN_COLUMNS]] for line in lines])


def _cell(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= CELL_CHARACTERS else plain[: CELL_CHARACTERS - 1] + "…"


def _grid(lines: list[list[str]]) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    style = [
        ("FONTSIZE", (0, 0), (-1, -1), 8),
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, HexColor("#444444")),
        ("LINEBELOW", (0, 1), (-1, -1), 0.2, HexColor("#cccccc")),
    ]
    return Table(lines, style=style, repeatRows=1, hAlign="LEFT")
