"""Importing the rows of CSV files one by one. Invalid rows are reported and do not stop the import."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Self

from pydantic import BaseModel, ConfigDict, EmailStr, Field, ValidationError, field_validator

from jobs.engine import Fatal, File, SavedFile, job, progress, save_file

#: The most rejected rows that a result lists. The file of rejected rows has all of them.
LISTED = 200
REPORT_EVERY_ROWS = 100
HEADER_BYTES = 65_536


class Item(BaseModel):
    """A valid row."""

    model_config = ConfigDict(str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: EmailStr
    amount: Annotated[Decimal, Field(max_digits=15, decimal_places=2, allow_inf_nan=False)]

    @field_validator("email")
    @classmethod
    def _folded(cls, value: str) -> str:
        return value.lower()


class Rejected(BaseModel):
    #: The line in which the row begins. The header is line 1.
    line: int
    reason: str


class ImportedBatch(BaseModel):
    """The number of imported and rejected rows of a CSV file."""

    imported: int
    rejected: int
    #: The first rejected rows.
    errors: list[Rejected]
    total: Decimal = Field(description="The sum of all imported amounts.")
    #: The imported rows, one JSON document per line.
    items: SavedFile
    #: All rejected rows with line and reason, as CSV. None if no row was rejected.
    rejects: SavedFile | None


@job(timeout=1800)
def import_batch(file: File) -> ImportedBatch:
    """Import the rows of a CSV file with the columns name, email and amount.

    An invalid row is rejected, with its line and the reason, and the other rows are still imported. If an e-mail
    address occurs twice, the later row is invalid. The columns may be in any order and are separated by commas,
    semicolons or tabs. Other columns are ignored.
    """
    with tempfile.TemporaryDirectory() as folder, file.open() as source, _Batch(Path(folder)) as batch:
        for line, row in _rows(source, max(1, file.size)):
            batch.take(line, row)
        return batch.result()


class _Batch:
    """The rows so far. Imported and rejected rows are written to two files, so they take no memory."""

    def __init__(self, folder: Path) -> None:
        self._items = (folder / "items").open("w", encoding="utf-8")
        self._rejects = (folder / "rejects").open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._rejects)
        self._writer.writerow(["line", "reason"])
        self._imported = self._rejected = 0
        self._total = Decimal(0)
        self._errors: list[Rejected] = []
        self._seen: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._items.close()
        self._rejects.close()

    def take(self, line: int, row: dict[str, Any] | str) -> None:
        reason = row if isinstance(row, str) else self._imported_or_reason(line, row)
        if reason is None:
            return
        self._rejected += 1
        self._writer.writerow([line, reason])
        if len(self._errors) < LISTED:
            self._errors.append(Rejected(line=line, reason=reason))

    def _imported_or_reason(self, line: int, row: dict[str, Any]) -> str | None:
        try:
            item = Item.model_validate(row)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            return "; ".join(f"{fault['loc'][0]}: {_lower_first(fault['msg'])}" for fault in faults)
        first = self._seen.setdefault(item.email, line)
        if first != line:
            return f"email: the same address as in line {first}"
        self._items.write(item.model_dump_json() + "\n")
        self._imported += 1
        self._total += item.amount
        return None

    def result(self) -> ImportedBatch:
        self._items.flush()
        self._rejects.flush()
        return ImportedBatch(
            imported=self._imported,
            rejected=self._rejected,
            errors=self._errors,
            total=self._total,
            items=save_file(self._items.name, "imported.jsonl", "application/jsonl"),
            rejects=save_file(self._rejects.name, "rejected.csv", "text/csv") if self._rejected else None,
        )


def _rows(source: BinaryIO, size: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield each row with the line in which it begins. A row is its values by column, or the reason it is invalid."""
    delimiter = _delimiter(source.read(HEADER_BYTES))
    source.seek(0)
    with io.TextIOWrapper(source, "utf-8-sig", "replace", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        columns = _columns(reader)
        line = reader.line_num + 1
        for number in count(1):
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, f"the row can't be read as CSV: {error}"
            else:
                if row:
                    yield line, _by_column(columns, row)
            line = reader.line_num + 1
            if number % REPORT_EVERY_ROWS == 1:
                progress(100 * source.tell() / size, "Importing")


def _delimiter(beginning: bytes) -> str:
    header = beginning.decode("utf-8-sig", "replace").splitlines()[0] if beginning else ""
    return max(",;\t", key=header.count)


def _columns(reader: Any) -> list[str]:
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise Fatal(f"The file can't be read as CSV: {error}.") from error
    if missing := [name for name in Item.model_fields if name not in columns]:
        found = ", ".join(columns)[:200] or "nothing"
        raise Fatal(f"The CSV file has no column {', '.join(missing)}; its first line must name them. It has: {found}.")
    return columns


def _by_column(columns: list[str], row: list[str]) -> dict[str, Any] | str:
    if len(row) != len(columns):
        return f"the row has {len(row)} values for {len(columns)} columns"
    if any("\ufffd" in value for value in row):
        return "the row is not text in UTF-8"
    return dict(zip(columns, row, strict=True))


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]
