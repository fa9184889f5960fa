"""Each job type with unusable input: the error message says what is wrong with it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from jobs.engine.catalogue.catalogue import Catalogue
from tests.acceptance.instance import SAMPLES, Api, Instance, Site
from tests.hostile import encrypted_pdf, pdf_bomb

#: The memory limit of every process, even if the input claims to be huge.
MOST_MEMORY_BYTES = 900_000_000


# --- inputs -------------------------------------------------------------------


def cut_off(name: str, size: int) -> bytes:
    return (SAMPLES / name).read_bytes()[:size]


def image_bomb() -> bytes:
    """Make a PNG of some hundred bytes that claims to have 3,600,000,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9_000))
        + chunk(b"IEND", b"")
    )


# --- jobs that fail ---------------------------------------------------------


@dataclass(frozen=True)
class Failing:
    job_type: str
    says: str
    content: Callable[[], bytes] | None = None
    params: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.job_type}: {self.says}"


FAILING = [
    Failing("process-video", "The video is damaged", lambda: cut_off("video.mp4", 5_000)),
    Failing("process-video", "The video is damaged", lambda: b"no video at all" * 100),
    Failing("process-image", "The image has too many pixels; 50,000,000 are allowed", image_bomb),
    Failing("process-image", "The image is damaged", lambda: cut_off("photo.jpg", 20_000)),
    Failing("process-image", "can't be read as an image", lambda: b"<svg/>"),
    Failing("extract-pdf", "The PDF is encrypted; upload it without a password", encrypted_pdf),
    Failing("extract-pdf", "unpacks to far more data", pdf_bomb),
    Failing("extract-pdf", "is damaged or is not a PDF", lambda: b"hello" * 100),
    Failing("import-batch", "has no column email, amount", lambda: b"name,age\nAna,3\n"),
    Failing("generate-report", "has no rows after its first line", lambda: b"a,b\n"),
    Failing("process-files", "is not a text file in UTF-8", lambda: b"MZ\0\0\0"),
    Failing("train-model", "has no column label; its first line must name them", lambda: b"text,kind\na,b\n"),
    Failing("train-model", "from 2 to 50 different labels, not 1", lambda: b"text,label\na,x\nb,x\n"),
    Failing("batch-predict", "You have no model 'mine'", params={"texts": ["a"], "model_id": "mine"}),
    Failing("predict", "You have no model 'mine'", params={"text": "a", "model_id": "mine"}),
    Failing("send-email", "550 No such mailbox", params={"to": "nobody@example.com", "subject": "s", "body": "b"}),
]

FILE_PARAMETERS = {"process-files": "files", "train-model": "training_data"}


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_a_job_with_unusable_input_fails_with_a_reason(alice: Api, instance: Instance, case: Failing) -> None:
    params: dict[str, Any] = dict(case.params or {})
    if case.content:
        name = FILE_PARAMETERS.get(case.job_type, "file")
        file_id = alice.upload(case.content())
        params |= {name: [file_id] if name == "files" else file_id}
    if case.job_type == "generate-report":
        params["title"] = "R"
    job = alice.ended(alice.submit(case.job_type, params))
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert case.says in job["error"]
    assert str(instance.data_dir) not in job["error"]
    assert 0 < max(map(memory_of, instance.processes)) < MOST_MEMORY_BYTES


def memory_of(process: psutil.Process) -> int:
    """Return the bytes of memory of a process. 0 if it has ended."""
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def test_an_address_without_an_article_fails_with_a_reason(alice: Api, site: Site) -> None:
    empty = site.article("/empty", b"<html><body><img src='/picture'></body></html>")
    site.pages["/picture"] = (200, {"content-type": "image/png"}, b"")
    assert "No article text was found" in alice.failed("extract-vocabulary", url=empty)
    picture = alice.failed("extract-vocabulary", url=f"{site.address}/picture")
    assert picture == "Could not fetch article: it is image/png, not a web page"


def test_a_webhook_to_a_receiver_that_is_gone_fails_with_a_reason(alice: Api, site: Site) -> None:
    site.pages["/gone"] = (410, {}, b"")
    error = alice.failed("deliver-webhook", url=f"{site.address}/gone", payload={})
    assert "410 Gone" in error


# --- parameters that are refused ---------------------------------------------------------------

ORDER = {"order_id": "1", "customer_name": "A", "customer_email": "a@example.com", "items": []}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("batch-predict", {"texts": []}, "/texts"),
    ("bulk-action", {"action": "delete", "filter": {}}, "/filter"),
    ("clean-up", {"everything": True}, "/everything"),
    ("deliver-webhook", {"url": "http://169.254.169.254/latest", "payload": {}}, "/url"),
    ("extract-pdf", {"file": "0" * 32}, "/file"),
    ("extract-vocabulary", {"url": "http://10.0.0.1/"}, "/url"),
    ("generate-report", {"title": "a\r\nBcc: x@example.com", "file": "0" * 32}, "/title"),
    ("import-batch", {"file": "../../etc/passwd"}, "/file"),
    ("log-prediction", {"text": "a", "label": "b", "confidence": 2}, "/confidence"),
    ("predict", {"text": 7}, "/text"),
    ("process-files", {"files": []}, "/files"),
    ("process-image", {"file": "0" * 32, "sizes": [0]}, "/sizes/0"),
    ("process-video", {"file": "0" * 32, "height": 181}, "/height"),
    ("search", {"q": ""}, "/q"),
    ("send-email", {"to": "a@example.com", "subject": "Hi\r\nBcc: all@example.com", "body": ""}, "/subject"),
    ("send-order-confirmation", {"order": ORDER}, "/order/items"),
    ("send-welcome-email", {"username": "a", "email": "nowhere"}, "/email"),
    ("train-model", {"training_data": {"texts": ["a", "b"], "labels": ["x", "x"]}}, "/training_data"),
    ("update-analytics", {"event": "two words"}, "/event"),
    ("update-search-index", {"documents": [{"id": "1"}]}, "/documents/0/text"),
    ("update-user-stats", {"kind": ""}, "/kind"),
]


@pytest.mark.parametrize(("job_type", "params", "pointer"), REFUSED, ids=[job_type for job_type, *_ in REFUSED])
def test_invalid_parameters_are_refused_with_a_pointer(
    alice: Api, job_type: str, params: dict[str, Any], pointer: str
) -> None:
    faults = {fault["pointer"]: fault["message"] for fault in alice.refused(job_type, params)}
    assert len(faults[pointer]) > 10
    assert alice.get(f"/jobs?job_type={job_type}&limit=5")["jobs"] == [] or job_type == "send-welcome-email"


def test_every_job_type_is_tested() -> None:
    assert {job_type for job_type, *_ in REFUSED} == set(Catalogue.discover(["jobs"]))
