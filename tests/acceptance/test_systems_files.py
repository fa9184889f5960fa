"""Videos, images, PDFs, reports and CSV files, through HTTP and forked workers, with the sample inputs."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import av
import psutil
import pypdf
import pytest
from PIL import Image

from tests.acceptance.instance import SAMPLES, Api, Instance, Site, completion_of
from tests.waiting import eventually

STEPS = ["text", "extraction", "normalising", "saving"]


# --- videos and images ---------------------------------------------------------------------


def test_a_video_has_the_requested_height_and_its_original_length(alice: Api) -> None:
    job = alice.ended(alice.submit("process-video", {"file": alice.sample("video.mp4"), "height": 180}))
    result = job["result"]
    assert (result["width"], result["height"], result["content_type"]) == (320, 180, "video/mp4")
    assert (job["progress_current"], job["progress"]) == (result["frames"], 100.0)
    with av.open(io.BytesIO(alice.content(result["file_id"])), "r") as video:
        picture, sound = video.streams.video[0], video.streams.audio[0]
        assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert video.duration and video.duration / 1_000_000 == pytest.approx(2.0, abs=0.1)
        frames = list(video.decode(picture))
    assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
    assert len(frames) == 50


def test_an_image_has_the_requested_sizes(alice: Api, instance: Instance) -> None:
    file_id = alice.sample("photo.jpg")
    result = alice.run("process-image", file=file_id, sizes=[600, 120], format="webp", quality=70)
    opened = [Image.open(io.BytesIO(alice.content(file["file_id"]))) for file in result["files"]]
    assert [(image.size, image.format) for image in opened] == [((600, 400), "WEBP"), ((120, 80), "WEBP")]
    assert result["bytes_saved"] == (SAMPLES / "photo.jpg").stat().st_size - result["files"][0]["size"] > 0
    stranger = instance.newcomer()
    stranger.get(f"/files/{result['files'][0]['file_id']}/content", status=403)
    stranger.post("/jobs/process-image", {"file": file_id}, status=403)


# --- PDFs ----------------------------------------------------------------------------------


def assert_right(alice: Api, result: dict[str, Any]) -> None:
    assert result["pages"] == 3
    assert result["dates"] == ["2026-03-14", "2026-05-01", "2026-06-30", "2028-03-01"]
    assert (Decimal(result["amounts"][0]["value"]), result["amounts"][0]["currency"]) == (Decimal("187500"), "EUR")
    assert result["emails"] == ["marta.lozano@velonorte.example", "invoices@zaragoza.example"]
    assert "Whoever rides without a helmet" in alice.content(result["text"]["file_id"]).decode()
    assert json.loads(alice.content(result["facts"]["file_id"]))["dates"] == result["dates"]


@pytest.mark.parametrize("done", range(5))
def test_a_pdf_job_that_was_killed_after_a_step_continues_with_the_next_step(alice: Api, done: int) -> None:
    """Run `extract-pdf-dying`: extract-pdf in a process that kills itself at the end of a step. 0: it does not."""
    params = {"file": alice.sample("contract.pdf"), "after_percent": 25 * done}
    job = alice.ended(alice.submit("extract-pdf-dying", params))
    assert (job["status"], job["resumed"], job["attempt"]) == ("completed", 1 if done else 0, 1)
    assert_right(alice, job["result"])
    begun = [line for line in alice.logged(job) if line.startswith("Step")]
    assert begun == [f"Step {name} begins." for name in STEPS]
    assert alice.events(job).count("job_resumed") == (1 if done else 0)


def test_a_pdf_job_reports_each_quarter(alice: Api) -> None:
    job = alice.ended(alice.submit("extract-pdf", {"file": alice.sample("contract.pdf")}))
    assert_right(alice, job["result"])
    assert (job["result"]["extracted_by"], job["progress_message"]) == ("rules", "Done: saving")


def test_a_pdf_job_that_was_killed_while_asking_a_language_model_asks_again(
    instance_with_model: Instance, site: Site
) -> None:
    dave = instance_with_model.newcomer()
    facts = completion_of(
        {"dates": ["1 May 2026"], "amounts": ["1,5 EUR"], "emails": ["X@Y.example"], "headings": ["Hi"]}
    )
    asked: list[psutil.Process] = []

    def thinking(body: bytes) -> tuple[int, dict[str, str], bytes]:
        if not asked:
            # The process with this connection runs the job.
            port = next(port for path, _, sent, port in reversed(site.seen) if sent is body)
            asked.append(owner_of(instance_with_model, port))
            asked[0].kill()
        return facts

    site.pages["/v1/chat/completions"] = thinking
    job = dave.ended(dave.submit("extract-pdf", {"file": dave.sample("contract.pdf")}))
    assert (job["status"], job["resumed"], job["result"]["extracted_by"]) == ("completed", 1, "language model")
    assert (job["result"]["dates"], job["result"]["emails"]) == (["2026-05-01"], ["x@y.example"])
    begun = [line for line in dave.logged(job) if line.startswith("Step")]
    assert begun.count("Step text begins.") == 1
    assert begun.count("Step extraction begins.") == 2


def owner_of(instance: Instance, port: int) -> psutil.Process:
    def found() -> psutil.Process | None:
        for each in instance.processes:
            try:
                if any(connection.laddr.port == port for connection in each.net_connections("tcp")):
                    return each
            except psutil.Error:
                continue
        return None

    process: psutil.Process = eventually(found, "the process that asks")
    return process


# --- rows and lines ------------------------------------------------------------------------


def test_a_batch_is_imported_without_its_invalid_lines(alice: Api) -> None:
    result = alice.run("import-batch", file=alice.sample("contacts.csv"))
    assert (result["imported"], result["rejected"]) == (34, 6)
    reasons = {error["line"]: error["reason"] for error in result["errors"]}
    assert sorted(reasons) == [6, 13, 14, 22, 29, 35]
    assert "email" in reasons[6] and "amount" in reasons[13] and "name" in reasons[14]
    assert reasons[22] == "the row has 2 values for 3 columns"
    assert reasons[29] == "email: the same address as in line 5"
    items = [json.loads(line) for line in alice.content(result["items"]["file_id"]).splitlines()]
    assert len(items) == 34 and sum(Decimal(item["amount"]) for item in items) == Decimal(result["total"])
    rejects = list(csv.DictReader(alice.content(result["rejects"]["file_id"]).decode().splitlines()))
    assert [int(row["line"]) for row in rejects] == sorted(reasons)


def test_the_statistics_of_files_are_saved_as_a_file(alice: Api) -> None:
    texts = [b"one two three\nfour\n", b"x" * 300_000 + b" y\nlast", (SAMPLES / "sales.csv").read_bytes()]
    ids = [alice.upload(text, f"{number}.txt") for number, text in enumerate(texts)]
    result = alice.run("process-files", files=ids)
    assert [(each["lines"], each["words"]) for each in result["files"]] == [(2, 4), (2, 3), (49, 49)]
    assert result["files"][1]["longest_line_length"] == 300_002
    assert (result["lines"], result["words"]) == (53, 56)
    rows = list(csv.DictReader(alice.content(result["report"]["file_id"]).decode().splitlines()))
    assert [row["filename"] for row in rows] == ["0.txt", "1.txt", "2.txt"]
    assert [int(row["lines"]) for row in rows] == [2, 2, 49]


def test_a_report_has_its_text_and_its_chart(alice: Api) -> None:
    result = alice.run("generate-report", title="Sales of 2026", file=alice.sample("sales.csv"))
    assert (result["rows"], result["content_type"]) == (48, "application/pdf")
    text, bars = read_report(alice.content(result["file_id"]))
    with (SAMPLES / "sales.csv").open() as file:
        units = sum(int(row["units"]) for row in csv.DictReader(file))
    for words in ("Sales of 2026", "48 rows", "units by month", "North", f"{units:,}.00"):
        assert words in text, words
    assert bars >= 12


def test_a_report_without_a_file_is_about_the_user_s_own_jobs(alice: Api) -> None:
    for _ in range(3):
        alice.run("update-analytics", event="opened")
    alice.failed("fail-fatally")
    result = alice.run("generate-report", title="My jobs")
    text, bars = read_report(alice.content(result["file_id"]))
    for words in ("My jobs", "jobs by job type", "update-analytics", "fail-fatally", "failed"):
        assert words in text, words
    # The user also has the welcome mail and the report itself.
    assert (result["rows"], bars >= 4) == (4, True)


def read_report(content: bytes) -> tuple[str, int]:
    """Return the text, and how often something is filled with the colour of the chart's bars."""
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    drawing = b"".join(page.get_contents().get_data() for page in pages)  # type: ignore[union-attr]  # each has some
    return "\n".join(page.extract_text() for page in pages), drawing.count(b".184314 .435294 .623529 rg")
