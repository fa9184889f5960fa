"""Batches, pipelines and schedules on real forked workers."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.broker.store.schedule_records import DueTick
from jobs.engine.client.groups import Group, Groups
from jobs.engine.client.new_groups import NewGroup, submit_batch
from jobs.engine.client.pipelines import Step, submit_pipeline
from jobs.engine.client.schedule import Plan
from jobs.engine.client.schedules import Schedules
from jobs.engine.client.submission import Submission
from jobs.engine.errors import GroupEnded, InvalidRequest
from jobs.engine.states import Status
from tests.integration.harness import Harness
from tests.waiting import eventually


@pytest.fixture(scope="module", autouse=True)
def workers(harness: Harness) -> None:
    """Start two hosts, each with its own scheduler."""
    harness.start_workers()
    harness.start_workers()


@pytest.fixture
def groups(harness: Harness) -> Groups:
    return Groups(harness.client)


Call = tuple[str, dict[str, Any]]


def batch(harness: Harness, *jobs: Call) -> str:
    submissions = [Submission(harness.catalogue.find(name), params, "alice") for name, params in jobs]
    return submit_batch(harness.client, NewGroup("batch", "alice"), submissions)[0]


def pipeline(harness: Harness, *steps: Call) -> str:
    named = [Step(harness.catalogue.find(name), params) for name, params in steps]
    return submit_pipeline(harness.client, named, "alice")[0]


def ended(groups: Groups, kind: str, group_id: str) -> Group:
    eventually(lambda: groups.find(kind, group_id).status.terminal, f"the {kind} ends")
    return groups.find(kind, group_id)


def statuses(group: Group) -> list[str]:
    return [str(member.status) for member in group.members]


def ref(text: str) -> dict[str, str]:
    return {"$ref": text}


# --- batches --------------------------------------------------------------------------


def test_the_progress_of_a_batch_grows_until_it_ends(harness: Harness, groups: Groups) -> None:
    batch_id = batch(harness, *[("report-slowly", {"steps": 3, "seconds": 0.1})] * 6)
    seen = []

    def look() -> bool:
        seen.append(groups.find("batch", batch_id))
        return seen[-1].status.terminal

    eventually(look, "the batch ends")
    progress = [each.progress for each in seen]
    assert progress == sorted(progress) and len(set(progress)) > 4
    assert {str(each.status) for each in seen} == {"pending", "running", "completed"} or seen[0].status == "running"
    assert (seen[-1].progress, seen[-1].counts["completed"]) == (100.0, 6)


def test_a_batch_with_a_failed_job_fails_and_its_other_jobs_complete(harness: Harness, groups: Groups) -> None:
    group = ended(groups, "batch", batch(harness, ("noop", {}), ("fail", {}), ("noop", {})))

    assert statuses(group) == ["completed", "failed", "completed"]
    assert (group.status, group.progress) == ("failed", 100.0)
    assert group.members[1].error == "the well is dry"


def test_a_running_batch_is_cancelled(harness: Harness, groups: Groups) -> None:
    batch_id = batch(harness, *[("sleep", {"seconds": 30})] * 5)
    eventually(lambda: groups.find("batch", batch_id).counts["running"] == 2, "two of them run")

    group = groups.cancel("batch", batch_id)

    assert (group.counts["cancelled"], group.counts["running"]) == (3, 2)
    assert set(statuses(ended(groups, "batch", batch_id))) == {"cancelled"}
    with pytest.raises(GroupEnded):
        groups.cancel("batch", batch_id)


def test_a_batch_with_an_unknown_dependency_is_not_stored(harness: Harness) -> None:
    before = harness.connection.dbsize()
    good = Submission(harness.catalogue.find("noop"), {}, "alice")
    bad = Submission(harness.catalogue.find("noop"), {}, "alice", depends_on=("nobody",))

    with pytest.raises(InvalidRequest) as caught:
        submit_batch(harness.client, NewGroup("batch", "alice"), [good, bad, good])

    assert [fault.pointer for fault in caught.value.faults] == ["/jobs/1/depends_on/0"]
    assert harness.connection.dbsize() == before


def test_a_batch_of_nearly_a_thousand_jobs_is_stored_and_ends(harness: Harness, groups: Groups) -> None:
    batch_id = batch(harness, *[("noop", {})] * 990)
    assert sum(groups.find("batch", batch_id).counts.values()) == 990
    try:
        groups.cancel("batch", batch_id)
    except GroupEnded:
        pass  # the workers were faster
    assert set(statuses(ended(groups, "batch", batch_id))) <= {"completed", "cancelled"}


# --- pipelines --------------------------------------------------------------------------


def test_the_steps_of_a_pipeline_use_the_results_of_earlier_steps(harness: Harness, groups: Groups) -> None:
    params = {"words": ref("#/steps/0/result/words"), "separator": ref("#/steps/0/result/words/1")}
    group = ended(
        groups,
        "pipeline",
        pipeline(
            harness,
            ("split", {"text": "to be or not"}),
            ("join", params),
            ("repeat", {"text": ref("#/steps/1/result"), "times": ref("#/steps/0/result/count")}),
            ("join", {"words": [ref("#/steps/2/result/3"), "end"]}),
        ),
    )

    assert (group.status, group.progress) == ("completed", 100.0)
    jobs = [harness.client.find(job_id) for job_id in group.job_ids]
    assert [job.result for job in jobs[1:]] == ["tobebebeorbenot", ["tobebebeorbenot"] * 4, "tobebebeorbenot end"]
    assert jobs[1].params == params
    for before, after in pairwise(jobs):
        assert before.completed_at and after.started_at and before.completed_at <= after.started_at


def test_a_failed_step_cancels_the_later_steps_with_a_reason(harness: Harness, groups: Groups) -> None:
    steps: list[Call] = [("split", {"text": "a"}), ("fail", {}), ("noop", {}), ("noop", {})]
    group = ended(groups, "pipeline", pipeline(harness, *steps))

    assert statuses(group) == ["completed", "failed", "cancelled", "cancelled"]
    assert (group.status, group.members[1].error) == ("failed", "the well is dry")
    assert group.members[2].error_type == "dependency_failed"
    assert group.members[1].job_id in (group.members[2].error or "")


def test_a_reference_to_a_missing_part_of_a_result_fails_its_step(harness: Harness, groups: Groups) -> None:
    steps: list[Call] = [("split", {"text": "a b"}), ("join", {"words": ref("#/steps/0/result/wrods")}), ("noop", {})]
    group = ended(groups, "pipeline", pipeline(harness, *steps))

    assert statuses(group) == ["completed", "failed", "cancelled"]
    assert group.members[1].error_type == "ReferenceUnresolved"
    assert group.members[1].error == (
        "#/steps/0/result/wrods has no value: #/steps/0/result has no 'wrods'; it has 'words', 'count'."
    )


def test_a_result_of_the_wrong_type_fails_its_step_when_it_starts(harness: Harness, groups: Groups) -> None:
    steps: list[Call] = [("split", {"text": "a b"}), ("join", {"words": ref("#/steps/0/result/count")}), ("noop", {})]
    group = ended(groups, "pipeline", pipeline(harness, *steps))

    assert statuses(group) == ["completed", "failed", "cancelled"]
    assert (group.members[1].error_type, group.members[1].error) == (
        "InvalidParameters",
        "/words: Input should be a valid array",
    )


def test_a_reference_to_a_step_without_a_result_is_null(harness: Harness, groups: Groups) -> None:
    steps: list[Call] = [
        ("noop", {}),
        ("echo", {"text": "x", "times": 1}),
        ("sleep", {"seconds": 0, "path": ref("#/steps/0/result")}),
    ]
    assert ended(groups, "pipeline", pipeline(harness, *steps)).status == "completed"


def test_a_running_pipeline_is_cancelled(harness: Harness, groups: Groups, tmp_path: Path) -> None:
    note = {"path": str(tmp_path / "notes"), "text": ref("#/steps/0/result")}
    steps: list[Call] = [("join", {"words": ["a"]}), ("sleep", {"seconds": 30}), ("note", note), ("noop", {})]
    pipeline_id = pipeline(harness, *steps)
    eventually(lambda: statuses(groups.find("pipeline", pipeline_id))[1] == "running", "the second step runs")
    assert 0 < groups.find("pipeline", pipeline_id).progress < 100

    groups.cancel("pipeline", pipeline_id)

    group = ended(groups, "pipeline", pipeline_id)
    assert statuses(group) == ["completed", "cancelled", "cancelled", "cancelled"]
    assert group.status == "cancelled"
    assert not (tmp_path / "notes").exists()


def test_a_pipeline_completes_after_its_failed_step_is_retried(
    harness: Harness, groups: Groups, tmp_path: Path
) -> None:
    flaky = {"path": str(tmp_path / "marks"), "fails": 3}  # as many as one submission has attempts
    pipeline_id = pipeline(harness, ("flaky", flaky), ("echo", {"text": "x", "times": ref("#/steps/0/result")}))
    group = ended(groups, "pipeline", pipeline_id)
    assert statuses(group) == ["failed", "cancelled"]

    for job_id in group.job_ids:
        harness.client.retry(job_id)

    assert statuses(ended(groups, "pipeline", pipeline_id)) == ["completed", "completed"]
    assert harness.client.find(group.job_ids[1]).result == ["x"] * 4


# --- schedules --------------------------------------------------------------------------


def due(harness: Harness) -> list[DueTick]:
    return harness.client.store.schedules.due(at_most=10)[1]


def test_each_tick_of_a_schedule_submits_one_job_although_two_hosts_watch_it(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    schedules = Schedules(harness.client)
    plan = Plan("note", {"path": str(path), "text": "tick"}, "* * * * *")
    made = [schedules.create("alice", plan) for _ in range(5)]
    for place in range(3):
        tick = int(time.time()) - 600 + 60 * place
        harness.connection.zadd("wh:schedules", {each.schedule_id: tick for each in made})
        eventually(
            lambda: path.exists() and len(path.read_text().split()) == 5 * (place + 1),  # noqa: B023
            "each schedule has run",
        )
    eventually(lambda: not due(harness), "no host finds a due schedule any longer")
    eventually(lambda: not harness.client.page("alice", status=Status.PENDING).jobs, "every job has started")
    eventually(lambda: not harness.client.page("alice", status=Status.RUNNING).jobs, "every job has ended")

    assert len(path.read_text().split()) == 15
    shown = schedules.find(made[0].schedule_id)
    assert shown.last_job_id and harness.client.find(shown.last_job_id).status == "completed"
    for each in made:
        schedules.delete(each.schedule_id)
