from __future__ import annotations

import pytest

from jobs.engine.author import outage
from jobs.engine.author.outage import wait_out_outage
from jobs.engine.errors import BrokerUnavailable, StorageUnavailable


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.01)


def test_a_step_that_succeeds_runs_once() -> None:
    results = ["first", "second"]
    assert wait_out_outage(results.pop) == "second"
    assert results == ["first"]


def test_a_step_is_repeated_until_the_outage_is_over() -> None:
    errors: list[Exception] = [BrokerUnavailable(), StorageUnavailable(), BrokerUnavailable()]

    def step() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert wait_out_outage(step) == "done"


def test_an_outage_that_lasts_too_long_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.05)

    def step() -> None:
        raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        wait_out_outage(step)


def test_another_error_is_raised_at_once() -> None:
    errors: list[Exception] = [OSError("disk"), OSError("disk")]

    def step() -> None:
        raise errors.pop()

    with pytest.raises(OSError, match="disk"):
        wait_out_outage(step)
    assert len(errors) == 1
