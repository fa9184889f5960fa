"""The description of an exception shows an author's own words, and nothing of the machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.errors import Fatal, JobTimeout
from jobs.engine.settings import Settings
from jobs.engine.worker.failure import MESSAGE_CHARACTERS, TRACE_CHARACTERS, Failure, describe

SECRET = "s" * 32
OWN = (__name__,)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, secret_key=SECRET, redis_url="redis://:pass-word@broker:6379/0")


def describe_raised(
    function: Callable[[], Any], settings: Settings, packages: tuple[str, ...] = (__name__,)
) -> Failure:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it raises is described
        return describe(error, packages, settings)
    raise AssertionError("it raised nothing")


def raising(error: BaseException) -> Callable[[], Any]:
    def function() -> None:
        raise error

    return function


def test_an_authors_own_error_shows_its_message_and_class(settings):
    failure = describe_raised(raising(ValueError("the well is dry")), settings)
    assert (failure.error_type, failure.message) == ("ValueError", "the well is dry")
    assert "Traceback" in failure.trace and "test_failure.py" in failure.trace


def test_an_error_without_a_message_shows_its_class(settings):
    assert describe_raised(raising(KeyError()), settings).message == "KeyError"


def test_an_error_from_a_library_shows_only_its_class(settings):
    failure = describe_raised(lambda: json.loads("{"), settings)
    assert failure.error_type == "JSONDecodeError"
    assert "Expecting" not in failure.message


def test_an_error_from_another_package_shows_only_its_class(settings):
    failure = describe_raised(raising(ValueError("private")), settings, packages=("somewhere.else",))
    assert "private" not in failure.message


def test_an_error_of_the_engine_shows_its_message_wherever_it_was_raised(settings):
    failure = describe_raised(raising(Fatal("no such model")), settings, packages=())
    assert (failure.error_type, failure.message) == ("Fatal", "no such model")


def test_a_timeout_has_its_code_as_its_type(settings):
    assert describe_raised(raising(JobTimeout("too slow")), settings).error_type == "timeout"


def test_a_call_of_sys_exit_is_named(settings):
    assert describe_raised(raising(SystemExit(3)), settings).message == "The function called sys.exit(3)."


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no file /usr/share/models/x.bin", "no file [path]"),
        ("see file:///usr/share/x", "see file://[path]"),
        ("GET https://user:secret@example.com/x", "GET https://[secret]@example.com/x"),
        (f"the key is {SECRET}", "the key is [secret]"),
        ("redis://:pass-word@broker:6379/0 is away", "[secret] is away"),
        ("Bearer abc.def", "Bearer [secret]"),
        ("login failed, password: hunter2", "login failed, password: [secret]"),
        ("wh_" + "a" * 20, "[secret]"),
        ("/texts/3 is not a string", "/texts/3 is not a string"),
        ("https://example.com/usr/share/x", "https://example.com/usr/share/x"),
    ],
)
def test_paths_and_secrets_are_masked_and_addresses_are_not(settings, message, shown):
    assert describe_raised(raising(ValueError(message)), settings).message == shown


def test_long_messages_and_traces_are_cut(settings):
    failure = describe_raised(raising(ValueError("long " * 50_000)), settings)
    assert len(failure.message) == MESSAGE_CHARACTERS
    assert len(failure.trace) == TRACE_CHARACTERS


def test_half_a_surrogate_pair_is_replaced(settings):
    failure = describe_raised(raising(ValueError("half \ud800 a pair")), settings)
    assert failure.message == "half ? a pair"
    assert failure.trace.encode()


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Hostile(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


def test_an_error_whose_text_fails_shows_its_class(settings):
    assert describe_raised(raising(Silent()), settings).message == "Silent"


def test_an_error_that_can_not_be_described_is_a_failure(settings):
    failure = describe_raised(raising(Hostile()), settings)
    assert failure.error_type == "Hostile"
    assert "RuntimeError" in failure.message
