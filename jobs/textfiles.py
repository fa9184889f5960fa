"""Statistics of text files, which are read line by line and several at once."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from jobs.engine import Fatal, File, SavedFile, job, progress, save_file

#: The most characters read at once. A longer line is read in pieces, so that it takes little memory.
PIECE_CHARACTERS = 65_536
SHOWN_CHARACTERS = 200
AT_ONCE = 4


class FileStatistics(BaseModel):
    file_id: str
    filename: str
    lines: int
    words: int
    #: In characters, without the line ending.
    longest_line_length: int
    #: The first line is 1. 0 if the file is empty.
    longest_line_number: int
    #: Its first 200 characters.
    longest_line: str


class ProcessedFiles(BaseModel):
    """Statistics of several text files."""

    files: list[FileStatistics]
    lines: int
    words: int
    #: The statistics as CSV.
    report: SavedFile


@job(timeout=1800)
def process_files(files: Annotated[list[File], Field(min_length=1, max_length=100)]) -> ProcessedFiles:
    """Count the lines and words of text files, and find the longest line of each.

    Files are read as UTF-8, several at once and line by line, so they may be of any size. The result is also saved as
    a CSV file.
    """
    # Here, because it adds a hook to each fork of the processes that import it.
    from concurrent.futures import ThreadPoolExecutor

    done = _Done(sum(file.size for file in files))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(_statistics, file, done) for file in files]
        try:
            found = [future.result() for future in futures]
        except BaseException:
            done.given_up = True
            raise
    return ProcessedFiles(
        files=found,
        lines=sum(each.lines for each in found),
        words=sum(each.words for each in found),
        report=save_file(_as_csv(found), "statistics.csv", "text/csv"),
    )


class _Done:
    """The progress of all files together."""

    def __init__(self, total_bytes: int) -> None:
        self.given_up = False
        self._total = max(1, total_bytes)
        self._bytes = 0
        self._adding = threading.Lock()

    def add(self, count: int) -> None:
        if self.given_up:
            raise Fatal("Another file of this job could not be read.")
        with self._adding:
            self._bytes += count
        progress(100 * self._bytes / self._total, "Reading")


@dataclass
class _Line:
    """The current line, which is read piece by piece."""

    number: int = 1
    length: int = 0
    beginning: str = ""
    in_word: bool = False


def _statistics(file: File, done: _Done) -> FileStatistics:
    lines = words = 0
    longest, line = _Line(number=0, length=-1), _Line()
    for piece in _pieces(file, done):
        text = piece.rstrip("\n")
        words += len(text.split()) - (line.in_word and text[:1].strip() != "")
        line.length += len(text)
        line.beginning += text[: SHOWN_CHARACTERS - len(line.beginning)]
        line.in_word = text[-1:].strip() != ""
        lines = line.number
        if line.length > longest.length:
            longest = line
        if piece.endswith("\n"):
            line = _Line(line.number + 1)
    return FileStatistics(
        file_id=file.file_id,
        filename=file.filename,
        lines=lines,
        words=words,
        longest_line_length=max(0, longest.length),
        longest_line_number=longest.number,
        longest_line=longest.beginning,
    )


def _pieces(file: File, done: _Done) -> Iterator[str]:
    """Yield the lines of a file, long ones in pieces. Every line ending becomes a line feed."""
    with file.open() as source, io.TextIOWrapper(source, "utf-8-sig", "replace") as text:
        before = 0
        for count, piece in enumerate(iter(lambda: text.readline(PIECE_CHARACTERS), "")):
            if "\0" in piece:
                raise Fatal(f"{file.filename} is not a text file in UTF-8.")
            if count % 1_000 == 0:
                done.add(source.tell() - before)
                before = source.tell()
            yield piece
        done.add(source.tell() - before)


def _as_csv(found: list[FileStatistics]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(["filename", "lines", "words", "longest_line_number", "longest_line_length"])
    for each in found:
        name = f"'{each.filename}" if each.filename[:1] in "=+-@" else each.filename  # or a spreadsheet would run it
        writer.writerow([name, each.lines, each.words, each.longest_line_number, each.longest_line_length])
    return target.getvalue().encode()
