"""Lines, words and longest lines are counted correctly in all kinds of files."""

from __future__ import annotations

import csv
import io

import pytest

from jobs.engine import Fatal
from jobs.textfiles import PIECE_CHARACTERS, process_files


@pytest.mark.parametrize(
    ("text", "lines", "words", "longest", "number"),
    [
        ("", 0, 0, "", 0),
        ("one", 1, 1, "one", 1),
        ("one two\nthree\n", 2, 3, "one two", 1),
        ("a\r\nbb cc\r\n\r\nd", 4, 4, "bb cc", 2),
        ("\n\n", 2, 0, "", 1),
        ("\ufeffä ö\n日本 語\n", 2, 4, "日本 語", 2),
    ],
)
def test_the_lines_and_words_of_a_file_are_counted(files, in_job, text, lines, words, longest, number):
    with in_job():
        found = process_files([files.upload(text.encode(), "a.txt")]).files[0]
    assert (found.lines, found.words, found.longest_line, found.longest_line_number) == (lines, words, longest, number)


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_line_that_arrives_in_pieces_is_counted_once(files, in_job, shift):
    line = "x" * (PIECE_CHARACTERS + shift) + " " + "y" * PIECE_CHARACTERS
    with in_job():
        found = process_files([files.upload(f"short\n{line}\nend".encode(), "a.txt")]).files[0]
    assert (found.lines, found.words) == (3, 4)
    assert (found.longest_line_number, found.longest_line_length) == (2, len(line))
    assert found.longest_line == "x" * 200


def test_several_files_are_summed_and_the_result_is_saved(files, in_job):
    uploads = [files.upload(b"word " * n + b"\n", f"{n}.txt") for n in range(1, 8)] + [files.upload(b"x", "=cmd.txt")]
    with in_job() as attempt:
        result = process_files(uploads)
    assert [found.words for found in result.files] == [1, 2, 3, 4, 5, 6, 7, 1]
    assert (result.lines, result.words) == (8, 29)
    rows = list(csv.DictReader(io.StringIO(files.content(result.report).decode())))
    assert [int(row["words"]) for row in rows] == [1, 2, 3, 4, 5, 6, 7, 1]
    assert rows[-1]["filename"] == "'=cmd.txt"
    assert attempt.steps[-1][0] == 100


def test_a_file_that_is_not_text_is_refused_by_name(files, in_job):
    with in_job(), pytest.raises(Fatal, match=r"video\.mp4 is not a text file"):
        process_files([files.sample("sales.csv"), files.sample("video.mp4")])
