"""The names of queues, and which of them a worker serves."""

from __future__ import annotations

import pytest

from jobs.engine.queue_names import Ability, QueueName, needs_of, priority_of
from jobs.engine.states import Priority

QUEUES = ["low@gpu", "high@gpu+large", "default", "high@gpu", "high@large", "emails"]


def test_a_queue_is_named_after_its_priority_and_its_needs_in_order():
    assert str(QueueName.of(Priority.HIGH, ())) == "high"
    assert str(QueueName.of(Priority.LOW, ["large", "gpu", "large"])) == "low@gpu+large"


@pytest.mark.parametrize("name", ["high", "default@gpu", "low@gpu+large-memory"])
def test_a_name_can_be_read_back(name: str):
    assert str(QueueName.read(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "emails",
        "urgent@gpu",
        "high@",
        "high@GPU",
        "high@gpu+",
        "high@large+gpu",
        "high@gpu+gpu",
        "high@a@b",
        "high ",
    ],
)
def test_any_other_queue_belongs_to_another_application(name: str):
    assert QueueName.read(name) is None
    assert (priority_of(name), needs_of(name)) == (name, ())


def test_the_priority_and_the_needs_of_a_job_are_those_of_its_queue():
    assert (priority_of("high@gpu+large"), needs_of("high@gpu+large")) == ("high", ("gpu", "large"))


def test_a_worker_without_abilities_serves_only_queues_without_needs():
    assert Ability().served(QUEUES) == ["high", "default", "low"]


def test_a_worker_serves_each_queue_whose_needs_it_meets_before_those_with_fewer_needs():
    able = Ability(can=frozenset({"gpu", "large"}))
    assert able.served(QUEUES) == ["high@gpu+large", "high@gpu", "high@large", "high", "default", "low@gpu", "low"]
    assert Ability(can=frozenset({"gpu"})).served(QUEUES) == ["high@gpu", "high", "default", "low@gpu", "low"]


def test_a_worker_with_a_single_purpose_serves_no_queue_without_it():
    only_gpu = Ability(can=frozenset({"gpu", "large"}), only=frozenset({"gpu"}))
    assert only_gpu.served(QUEUES) == ["high@gpu+large", "high@gpu", "low@gpu"]


def test_a_worker_of_some_priorities_serves_no_queue_of_another():
    able = Ability(priorities=(Priority.LOW,), can=frozenset({"gpu"}))
    assert able.served(QUEUES) == ["low@gpu", "low"]
