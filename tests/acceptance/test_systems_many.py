"""Several jobs from one request: pipelines, batches, dependencies, and a burst of one user."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pypdf

from tests.acceptance.instance import Api, Instance, PostOffice
from tests.waiting import eventually

ENDED = ("completed", "failed", "cancelled")


def ref(step: int, way: str) -> dict[str, str]:
    return {"$ref": f"#/steps/{step}/result/{way}"}


def followed(api: Api, pipeline: dict[str, Any]) -> dict[str, Any]:
    """Wait until the pipeline ends, and return it."""
    place = f"/pipelines/{pipeline['pipeline_id']}"
    return dict(eventually(lambda: (now := api.get(place))["status"] in ENDED and now, "the pipeline ends"))


def extract_index_report_mail(file_id: str, to: str) -> list[dict[str, Any]]:
    document = {"id": "contract", "title": ref(0, "headings/0"), "text": ref(0, "emails/0")}
    return [
        {"job_type": "extract-pdf", "params": {"file": file_id}},
        {"job_type": "update-search-index", "params": {"documents": [document]}},
        {"job_type": "generate-report", "params": {"title": ref(0, "headings/0"), "file": ref(0, "text/file_id")}},
        {"job_type": "send-email", "params": {"to": to, "subject": ref(2, "filename"), "body": ref(2, "file_id")}},
    ]


def test_a_pipeline_of_four_job_types_completes(alice: Api, post_office: PostOffice) -> None:
    to = f"{alice.user_id}@pipelines.example"
    steps = extract_index_report_mail(alice.sample("contract.pdf"), to)
    pipeline = followed(alice, alice.post("/pipelines", {"steps": steps}, status=202))

    assert [step["status"] for step in pipeline["steps"]] == ["completed"] * 4, pipeline
    assert (pipeline["status"], pipeline["progress"]) == ("completed", 100.0)
    assert alice.get("/search?q=marta")["results"][0]["title"] == "1. Agreement on the delivery of bicycles"
    [mail] = post_office.to(to)
    report = alice.content(mail.get_content().strip())
    assert "Agreement on the delivery" in pypdf.PdfReader(BytesIO(report)).pages[0].extract_text()


def test_a_cancelled_pipeline_starts_no_further_step(alice: Api) -> None:
    steps = [
        {"job_type": "echo", "params": {"text": "a"}},
        {"job_type": "sleep", "params": {"seconds": 60}},
        {"job_type": "update-search-index", "params": {"documents": [{"id": "1", "text": ref(0, "0")}]}},
        {"job_type": "echo", "params": {"text": "b"}},
    ]
    pipeline = alice.post("/pipelines", {"steps": steps}, status=202)
    place = f"/pipelines/{pipeline['pipeline_id']}"
    eventually(lambda: alice.get(place)["steps"][1]["status"] == "running", "the second step runs")
    alice.delete(place, status=202)
    ended = followed(alice, pipeline)
    assert ended["status"] == "cancelled"
    assert [step["status"] for step in ended["steps"]] == ["completed", "cancelled", "cancelled", "cancelled"]
    assert "job_started" not in alice.events(ended["steps"][2])


def test_a_pipeline_whose_second_step_fails_reports_the_failure(alice: Api) -> None:
    steps = extract_index_report_mail(alice.sample("contract.pdf"), "x@example.com")
    steps[1] = {"job_type": "import-batch", "params": {"file": ref(0, "text/file_id")}}
    ended = followed(alice, alice.post("/pipelines", {"steps": steps}, status=202))
    assert ended["status"] == "failed"
    assert [step["status"] for step in ended["steps"]] == ["completed", "failed", "cancelled", "cancelled"]
    assert "The CSV file has no column name, email, amount" in ended["steps"][1]["error"]
    assert ended["steps"][2]["error_type"] == "dependency_failed"
    assert ended["steps"][1]["job_id"] in ended["steps"][2]["error"]


def test_a_batch_is_stored_completely_or_not_at_all(alice: Api) -> None:
    jobs = [{"job_type": "update-analytics", "params": {"event": f"e{number}"}} for number in range(5)]
    bad = [*jobs, {"job_type": "update-analytics", "params": {"event": "two words"}}]
    [fault] = alice.post("/batches", {"jobs": bad}, status=422)["errors"]
    assert fault["pointer"] == "/jobs/5/params/event"
    assert alice.get("/jobs?job_type=update-analytics")["jobs"] == []
    place = f"/batches/{alice.post('/batches', {'jobs': jobs}, status=202)['batch_id']}"
    batch = eventually(lambda: (now := alice.get(place))["status"] in ENDED and now, "the batch ends")
    assert (batch["counts"]["completed"], batch["progress"]) == (5, 100.0)


def test_a_job_starts_when_its_dependencies_have_completed(alice: Api) -> None:
    first = alice.submit("report-slowly", {"steps": 2, "seconds": 0.3})
    second = alice.submit("echo", {"text": "then"}, f"?depends_on={first['job_id']}&priority=high")
    assert second["pending_reason"] == "waiting"
    second, first = alice.ended(second), alice.find(first)
    assert second["started_at"] >= first["completed_at"]
    failing = alice.submit("fail", {})
    cancelled = alice.ended(alice.submit("noop", {}, f"?depends_on={failing['job_id']}"))
    assert (cancelled["status"], cancelled["error_type"]) == ("cancelled", "dependency_failed")


def test_a_burst_of_one_user_does_not_delay_the_job_of_another(instance_with_model: Instance) -> None:
    """MAX_RUNNING_JOBS_PER_USER is 2 in this instance, and there are three workers."""
    burst = 500
    many, one = instance_with_model.newcomer(), instance_with_model.newcomer()
    jobs = [{"job_type": "sleep", "params": {"seconds": 30}}] * burst
    batch = many.post("/batches", {"jobs": jobs}, status=202)
    place = f"/batches/{batch['batch_id']}"
    eventually(lambda: many.get(place)["counts"]["running"] == 2, "two of the burst run")
    job = one.ended(one.submit("echo", {"text": "next"}))
    assert job["status"] == "completed"
    counts = many.get(place)["counts"]
    assert (counts["running"], counts["pending"]) == (2, burst - 2)
    waiting = many.until(many.find({"job_id": batch["job_ids"][2]}), lambda now: now["pending_reason"] == "limited")
    assert waiting["status"] == "pending"
    many.delete(place, status=202)
    eventually(lambda: many.get(place)["counts"]["cancelled"] == burst, "the burst is cancelled")
