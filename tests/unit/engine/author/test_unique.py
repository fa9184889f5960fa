"""The rule by which jobs of a type are unique."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine import Unique
from jobs.engine.errors import ConfigurationError
from jobs.engine.public_fields import nested_fields


def test_a_rule_compares_all_parameters_by_default():
    assert Unique().names is None
    assert Unique(by=()).names == ()
    assert Unique(by="url").names == ("url",)


def test_clients_see_the_rule():
    rule = Unique(by=("url",), until="start", ttl=60, on_conflict="replace")
    assert nested_fields(rule) == {"by": ["url"], "until": "start", "ttl": 60, "on_conflict": "replace"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"until": "forever"}, "Unique(until='forever'): expected one of end, start."),
        ({"on_conflict": "ignore"}, "Unique(on_conflict='ignore'): expected one of return, reject, replace."),
        ({"ttl": 0}, "Unique(ttl=0): expected seconds"),
        ({"ttl": float("nan")}, "Unique(ttl=nan): expected seconds"),
        ({"ttl": 10**9}, "Unique(ttl=1000000000): expected seconds"),
        ({"ttl": True}, "Unique(ttl=True): expected seconds"),
        ({"by": ("url", "url")}, "expected names of parameters for by"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_one_line(values: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError) as caught:
        Unique(**values)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
