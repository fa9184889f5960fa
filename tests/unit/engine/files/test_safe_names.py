from __future__ import annotations

import pytest

from jobs.engine.files.safe_names import safe_content_type, safe_filename


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("a/b\\c.txt", "c.txt"),
        ("", "file"),
        ("///", "file"),
        ("\0\n\x7f", "file"),
        ("..\\..", "file"),
        ("x" * 400, "x" * 255),
    ],
)
def test_a_filename_is_made_safe(given, safe):
    assert safe_filename(given) == safe


@pytest.mark.parametrize(
    ("announced", "name", "kept"),
    [
        ("Text/HTML; charset=x", "a", "text/html"),
        (None, "a.csv", "text/csv"),
        ("application/octet-stream", "a.png", "image/png"),
        ("a\r\nX: y", "a", "application/octet-stream"),
        (None, "a", "application/octet-stream"),
    ],
)
def test_a_content_type_is_made_safe(announced, name, kept):
    assert safe_content_type(announced, name) == kept
