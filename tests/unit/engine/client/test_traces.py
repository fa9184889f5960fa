"""The class of the exception is read from a traceback, and nothing of its message."""

from __future__ import annotations

import traceback

import pytest

from jobs.engine.client.traces import exception_class


class OddError(Exception):
    pass


def trace_of(error: Exception) -> str:
    with pytest.raises(type(error)) as raised:
        raise error
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("the well is dry"), "ValueError"),
        (ValueError("first line\nsecret"), "ValueError"),
        (ValueError("first line\nKeyError: secret"), "ValueError"),
        (KeyError(), "KeyError"),
        (OddError("odd"), "OddError"),
        (SyntaxError("odd"), "SyntaxError"),
    ],
)
def test_the_class_is_read_without_the_message(error: Exception, name: str) -> None:
    assert exception_class(trace_of(error)) == name


def test_the_last_of_chained_exceptions_counts() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise LookupError("second") from error
    except LookupError:
        trace = traceback.format_exc()

    assert exception_class(trace) == "LookupError"


@pytest.mark.parametrize(
    "trace",
    [
        None,
        "",
        "This job is not JSON, and the workers never load pickles.",
        "Moved to FailedJobRegistry",
        "Traceback (most recent call last):\n",
        "Traceback (most recent call last):\n  File x\nnot a class: secret\n",
        "Traceback (most recent call last):\n  File x\nclass: secret\n",
    ],
)
def test_any_other_text_names_no_class(trace: str | None) -> None:
    assert exception_class(trace) is None
