"""The versions of a job, rebuilt from its history."""

from __future__ import annotations

from jobs.engine.follow.history import is_progress, versions
from tests.unit.engine.follow.bench import Bench


def test_the_last_version_is_the_job_itself_and_mere_progress_is_marked(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start()
    bench.report(job_id, 10)
    bench.finish(job_id)
    job = bench.client.find(job_id)
    rebuilt = versions(job, bench.client.events(job_id))
    assert [(state.version, mere) for state, mere in rebuilt] == [(1, False), (2, False), (3, True), (4, False)]
    assert rebuilt[-1][0] is job


def test_earlier_versions_are_the_job_as_it_was(bench: Bench) -> None:
    bench.submit()
    job_id = bench.start()
    bench.report(job_id, 10)
    bench.finish(job_id, "failed", error="no", error_type="ValueError")
    job = bench.client.find(job_id)
    states = [state for state, _ in versions(job, bench.client.events(job_id))]
    assert [str(state.status) for state in states] == ["pending", "running", "running", "failed"]
    assert [state.progress for state in states] == [0.0, 0.0, 10.0, 10.0]
    assert [state.error for state in states] == [None, None, None, "no"]
    assert states[0].started_at is None and states[1].started_at == job.started_at


def test_a_job_without_a_history_has_only_its_current_version(bench: Bench) -> None:
    job = bench.submit()
    assert versions(job, []) == [(job, False)]


def test_only_a_change_of_progress_is_mere_progress(bench: Bench) -> None:
    pending = bench.submit()
    job_id = bench.start()
    running = bench.client.find(job_id)
    bench.report(job_id, 10)
    reported = bench.client.find(job_id)
    assert is_progress(running, reported)
    assert not is_progress(pending, running)
