from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from jobs.engine.accounts.admission import Admission, refuse
from jobs.engine.accounts.rate import Rate
from jobs.engine.accounts.user import User
from jobs.engine.errors import RateLimited, Unauthenticated


def test_an_admission_names_user_rate_and_credential_for_the_script() -> None:
    user = User("alice", "a@example.com", ("user",), datetime.now(UTC), generation="g", proofs=("wh:apikey:digest",))
    assert json.loads(Admission(user, Rate(5, 60)).as_json()) == ["alice", "g", 5, 60, ["wh:apikey:digest"]]


def test_an_admitted_request_is_not_refused() -> None:
    assert refuse(0) is None  # type: ignore[func-returns-value]


def test_a_request_over_the_rate_is_refused_with_the_time_to_wait() -> None:
    with pytest.raises(RateLimited) as refusal:
        refuse(2_500_000)
    assert refusal.value.retry_after == 2.5


def test_a_request_with_a_revoked_credential_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="revoked"):
        refuse(-1)
