"""The field `data` of a job is read as we write it and as RQ saves it."""

from __future__ import annotations

import pickle
import zlib

import pytest

from jobs.engine.broker.store.calls import read_call

OURS = b'["jobs.words.count", null, [], {"text": "\xc3\xa9"}]'


@pytest.mark.parametrize("data", [OURS, zlib.compress(OURS)], ids=["ours", "saved by RQ"])
def test_a_call_is_read_in_both_forms(data: bytes) -> None:
    assert read_call(data) == ("jobs.words.count", None, [], {"text": "é"})


@pytest.mark.parametrize("data", [b"", b"[1, 2]", b"7", pickle.dumps(OURS), zlib.compress(pickle.dumps(OURS))])
def test_anything_else_is_refused_and_never_unpickled(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_call(data)
