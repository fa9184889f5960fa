from __future__ import annotations

import pytest

from jobs.engine.json_pointer import parts, pointer


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("texts", 3), "/texts/3"),
        (("a/b", "c~d"), "/a~1b/c~0d"),
        (("~1",), "/~01"),
        (("",), "/"),
    ],
)
def test_a_path_is_written_as_rfc_6901_says(path, text):
    assert pointer(path) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("/texts/3", ("texts", "3")),
        ("/a~1b/c~0d", ("a/b", "c~d")),
        ("/~01", ("~1",)),
        ("/", ("",)),
    ],
)
def test_a_pointer_is_read_into_its_parts(text, expected):
    assert parts(text) == expected


@pytest.mark.parametrize("name", ["~", "/", "~0", "~1", "~~//", "~01", "plain", ""])
def test_any_name_is_read_back_as_it_was_written(name):
    assert parts(pointer(("before", name, "after"))) == ("before", name, "after")
