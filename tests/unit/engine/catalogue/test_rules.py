"""The limits of a job type and its rule for unique jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import UnservableFunction

Write = Callable[..., str]

CALL = "def call(url: str, customer_id: int = 0, region: str = 'eu') -> None: ..."


@pytest.fixture
def job_type(write_package: Write) -> Callable[[str], JobType]:
    def build(options: str) -> JobType:
        package = write_package(a=f"from jobs.engine import Limit, Unique\n@job({options})\n{CALL}")
        return Catalogue.discover([package]).find("call")

    return build


def unique(kind: JobType, owner: str = "alice", words: str | None = None, **params: Any) -> dict[str, Any]:
    rule = kind.rules.unique({"url": "http://a", **params}, owner, words)
    assert rule is not None
    return rule


def test_each_limit_has_a_name_by_its_kind_and_key(job_type):
    kind = job_type(
        "limits=[Limit(running=2), Limit(rate='60/minute', by='customer_id'), Limit(running=1, by=('region', 'user'))]"
    )
    assert kind.max_running == 2
    assert kind.rules.limit_entries({"url": "x", "customer_id": 17}, "alice") == [
        ["rate:call/60|customer_id=17", 60, 60, "customer_id=17"],
        ["type:call|region=eu,user=alice", 1, 0, "region=eu, user=alice"],
    ]
    assert kind.rules.key_parameters() == {"customer_id", "region"}


def test_max_running_is_the_short_form_of_a_limit(job_type):
    short, long = job_type("max_running=3"), job_type("limits=[Limit(running=3)]")
    assert short.max_running == long.max_running == 3
    assert short.as_dict()["limits"] == long.as_dict()["limits"] == [{"running": 3, "rate": None, "by": []}]
    assert short.rules.limit_entries({"url": "x"}, "alice") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("limits=[Limit(running=1, by='curl')]", "there is no parameter 'curl'; did you mean 'url'?"),
        ("unique=Unique(by='nothing')", "Unique(by=('nothing',)): there is no parameter 'nothing'."),
        ("max_running=2, limits=[Limit(running=3)]", "Limit(running=2) and Limit(running=3) limit the same jobs"),
        ("limits=[Limit(running=2, by=('url', 'region')), Limit(running=3, by=('region', 'url'))]", "the same jobs"),
        ("limits=[Limit(rate='1/minute'), Limit(rate='2/minute')]", "limit the same jobs; keep one of them"),
        ("limits=Limit(running=2)", "expected a tuple of limits"),
        ("limits=[2]", "expected a tuple of limits"),
        ("unique=True", "expected a rule"),
        ("start_within=0", "expected seconds, more than 0"),
        ("start_within=10**9", "at most 31,536,000"),
    ],
)
def test_a_mistake_is_refused_in_one_line_with_the_function(job_type, options, message):
    with pytest.raises(UnservableFunction) as caught:
        job_type(options)
    assert message in caught.value.message
    assert ".a.call: " in caught.value.message
    assert "\n" not in caught.value.message


def test_two_rates_with_different_periods_go_together(job_type):
    kind = job_type("limits=[Limit(rate='10/second'), Limit(rate='100/minute')]")
    assert [entry[0] for entry in kind.rules.limit_entries({"url": "x"}, None)] == ["rate:call/1", "rate:call/60"]


def test_a_job_without_a_rule_is_not_unique(job_type):
    assert job_type("").rules.unique({"url": "x"}, "alice", None) is None


def test_equal_jobs_of_one_owner_have_one_key(job_type):
    kind = job_type("unique=Unique(by='url')")
    assert unique(kind, region="eu")["key"] == unique(kind, region="us")["key"]
    assert unique(kind)["key"] != unique(kind, owner="bob")["key"]
    assert unique(kind)["key"] != unique(kind, url="http://b")["key"]
    assert unique(kind)["shown"] == "url=http://a"


def test_without_by_all_parameters_are_compared(job_type):
    kind = job_type("unique=Unique()")
    assert unique(kind)["key"] == unique(kind, customer_id=0, region="eu")["key"]
    assert unique(kind)["key"] != unique(kind, region="us")["key"]


def test_an_empty_by_allows_one_job_for_each_owner(job_type):
    kind = job_type("unique=Unique(by=())")
    assert unique(kind)["key"] == unique(kind, url="http://b", region="us")["key"]
    assert unique(kind)["key"] != unique(kind, owner="bob")["key"]


def test_a_submission_may_bring_its_own_key(job_type):
    plain, ruled = job_type(""), job_type("unique=Unique(by='url', until='start', ttl=1.5, on_conflict='reject')")
    assert unique(plain, words="k") == unique(plain, words="k", url="http://b")
    assert unique(plain, words="k")["key"] != unique(plain, words="K")["key"]
    assert unique(plain, words="k")["on_conflict"] == "return"
    assert unique(ruled, words='{"url":"http://a"}')["key"] != unique(ruled)["key"]
    rule = unique(ruled, words="k")
    assert (rule["until_start"], rule["ttl_ms"], rule["on_conflict"], rule["shown"]) == (True, 1500, "reject", "k")
