"""A tour as a client sees it: submit real jobs over HTTP, follow them, print what they answer.

    python -m demo

Uses the instance at PORT, or starts one and stops it again. Ends with 0 if every job completed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

from demo.api import Api, Refused, Resource
from jobs.engine.errors import CannotStart, WorkhorseError
from jobs.engine.local.announcement import READY_TIMEOUT_SECONDS, not_ready
from jobs.engine.local.instance import ROOT
from jobs.engine.local.process_group import KILL_PAUSE_SECONDS
from jobs.engine.settings import Settings

LOOPBACK = "127.0.0.1"
SAMPLES = Path(__file__).parent / "samples"
#: How long a job may go without any news.
PATIENCE_SECONDS = 120.0
BAR_WIDTH = 30

THINGS = ("food", "service", "room", "view", "price", "music", "staff", "bed", "coffee", "walk")
JUDGEMENTS = {
    "positive": ("wonderful", "excellent", "lovely", "perfect", "delightful"),
    "negative": ("terrible", "awful", "dreadful", "disappointing", "miserable"),
}
FRAMES = ("The {} was {}.", "I found the {} {}.", "What a {}: simply {}!", "Our {} turned out to be {}.")


# --- the tour --------------------------------------------------------------------------


#: Job types that take a file: the parameter, the sample that it is given, and what else is sent.
ON_SAMPLES: tuple[tuple[str, str, str, Resource], ...] = (
    ("process-image", "file", "photo.jpg", {"sizes": [800, 200], "format": "webp"}),
    ("process-video", "file", "video.mp4", {"height": 180}),
    ("extract-pdf", "file", "contract.pdf", {}),
    ("import-batch", "file", "contacts.csv", {}),
    ("generate-report", "file", "sales.csv", {"title": "Sales by month"}),
)


def main() -> int:
    """Take the tour. Answers the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not SAMPLES.is_dir():
            raise CannotStart(f"The tour needs the sample files, and there is no folder {SAMPLES}.")
        settings = Settings.load()
        address = f"http://{LOOPBACK}:{settings.port}"
        with nullcontext() if not_ready(address) is None else started(settings, address):
            return tour(Api(address, admin_key(settings, address)))
    except (WorkhorseError, Refused) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, HTTPException, ValueError) as error:
        print(f"The instance can't be reached any more: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def tour(api: Api) -> int:
    """Run jobs on texts and on the sample files, one after the other. Answers 0 if all of them completed."""
    print(f"Submitting jobs to {api.address}\n")
    trained = finished(api, api.submit("train-model", training_data=examples(), epochs=10))
    jobs = [trained]
    if trained["status"] == "completed":
        model_id = trained["result"]["model_id"]
        jobs.append(finished(api, api.submit("batch-predict", texts=texts(1000), model_id=model_id)))
    jobs += vocabulary(api)
    for job_type, parameter, sample, more in ON_SAMPLES:
        params = {parameter: api.upload(SAMPLES / sample), **more}
        jobs.append(finished(api, api.submit(job_type, **params)))
    mail = {"to": "reader@example.com", "subject": "The tour", "body": "It went well."}
    jobs.append(finished(api, api.submit("send-email", **mail)))
    completed = sum(job["status"] == "completed" for job in jobs)
    print(f"{completed} of {len(jobs)} jobs completed.")
    return 0 if completed == len(jobs) else 1


def vocabulary(api: Api) -> list[Resource]:
    """Learn words from a page of our own, if the instance may fetch from this machine."""
    with article_server() as url:
        try:
            job = api.submit("extract-vocabulary", url=url, source_lang="es", target_lang="en", word_count=8)
        except Refused as refusal:
            if refusal.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            print(
                "extract-vocabulary: skipped. This instance fetches nothing from loopback addresses; "
                f"start it with ALLOWED_PRIVATE_HOSTS={LOOPBACK} to see it.\n"
            )
            return []
        return [finished(api, job)]


def finished(api: Api, job: Resource) -> Resource:
    """Follow a job to its end with a progress bar, and print its result or its error."""
    heard = time.monotonic()
    show(job)
    while job["status"] in ("pending", "running"):
        news = api.news(job)
        if news is not None:
            job, heard = news, time.monotonic()
            show(job)
        elif time.monotonic() - heard > PATIENCE_SECONDS:
            print(f"\n  Nothing happened for {PATIENCE_SECONDS:g} s: does a worker run?\n")
            return job
    print(f"\n  {summary(job)}\n")
    return job


def show(job: Resource) -> None:
    """Draw the bar: over the last one in a terminal, on a line of its own elsewhere."""
    done = round(BAR_WIDTH * job["progress"] / 100)
    bar = "#" * done + "." * (BAR_WIDTH - done)
    message = job["progress_message"] or job["status"]
    text = f"{job['job_type']:<18} [{bar}] {job['progress']:3.0f} %  {message}"
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text[:100]}", end="", flush=True)
    else:
        print(text, flush=True)


def summary(job: Resource) -> str:
    """Say in a line what a job came to."""
    result = job["result"]
    if job["status"] != "completed":
        return f"{job['status']}: {job['error']} ({job['error_type']})"
    match job["job_type"]:
        case "train-model":
            return f"model {result['model_id']}, right about {result['accuracy']:.0%} of texts it had not seen"
        case "batch-predict":
            first = result["predictions"][0]
            return f"{result['total']} predictions; the first: {first['label']} ({first['confidence']:.0%} sure)"
        case "extract-vocabulary":
            words = ", ".join(word["word"] for word in result["words"])
            return f"{result['new_words']} new words: {words}" if words else "no words that were not known before"
        case "process-image":
            sizes = ", ".join(f"{file['width']} × {file['height']}" for file in result["files"])
            return f"{sizes}; {result['bytes_saved']:,} bytes saved"
        case "process-video":
            size = f"{result['width']} × {result['height']}"
            return f"{result['filename']}: {size}, {result['seconds']:.1f} s, {result['size']:,} bytes"
        case "extract-pdf":
            found = f"{len(result['dates'])} dates, {len(result['amounts'])} amounts, {len(result['emails'])} addresses"
            return f"{found} on {result['pages']} pages, by {result['extracted_by']}"
        case "import-batch":
            first = result["errors"][0]
            bad = f"{result['rejected']} rejected, the first in line {first['line']}: {first['reason']}"
            return f"{result['imported']} rows imported, {bad}"
        case "generate-report":
            return f"{result['filename']} of {result['rows']} rows: GET /api/v1/files/{result['file_id']}/content"
        case _:
            return json.dumps(result)


# --- what it submits -----------------------------------------------------------------------


def examples() -> Resource:
    """Sentences, and what each is an example of."""
    made = [
        (frame.format(thing, judgement), label)
        for label, judgements in JUDGEMENTS.items()
        for frame, thing, judgement in product(FRAMES, THINGS, judgements)
    ]
    return {"texts": [text for text, _ in made], "labels": [label for _, label in made]}


def texts(count: int) -> list[str]:
    """Sentences to judge."""
    made = [
        f"The {thing} and the {other} were {judgement}."
        for thing, other in product(THINGS, THINGS)
        for judgements in JUDGEMENTS.values()
        for judgement in judgements
    ]
    return made[:count]


@contextmanager
def article_server() -> Iterator[str]:
    """Serve one page on this machine; answers its address."""
    with ThreadingHTTPServer((LOOPBACK, 0), ArticlePage) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/articulo"
        finally:
            server.shutdown()
            thread.join()


class ArticlePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = (SAMPLES / "articulo.html").read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in http.server
        """Say nothing: the terminal is for the bars."""


# --- the instance ----------------------------------------------------------------------------


def admin_key(settings: Settings, address: str) -> str:
    """The administrator's key, where the instance at `address` has it from. Raises CannotStart if it is not there."""
    try:
        return settings.admin_api_key or (settings.data_dir / "admin_api_key").read_text().strip()
    except OSError:
        raise CannotStart(
            f"An instance runs at {address}, but its key is not in {settings.data_dir}. "
            "Set ADMIN_API_KEY or DATA_DIR as it was started with, or another PORT to start one."
        ) from None


@contextmanager
def started(settings: Settings, address: str) -> Iterator[None]:
    """Start an instance that may fetch from this machine, and stop it at the end.

    Raises:
        CannotStart: with what it said, if it does not get ready.
    """
    print(f"Nothing answers at {address}: starting an instance ...")
    hosts = ",".join([*settings.allowed_private_hosts, LOOPBACK])
    with tempfile.TemporaryFile("w+") as said:
        instance = subprocess.Popen(
            [sys.executable, "-m", "jobs.engine.local"],
            cwd=ROOT,
            env={**os.environ, "ALLOWED_PRIVATE_HOSTS": hosts, "DATA_DIR": str(settings.data_dir)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not becomes_ready(instance, address):
                said.seek(0)
                raise CannotStart(f"The instance did not start. It said:\n{said.read()[-4_000:]}")
            yield
        finally:
            instance.terminate()
            # It stops in order by itself; a broker killed here would be left without its parent.
            instance.wait(settings.shutdown_grace + 6 * KILL_PAUSE_SECONDS)


def becomes_ready(instance: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while instance.poll() is None and time.monotonic() < deadline:
        if not_ready(address) is None:
            return True
        time.sleep(0.1)
    return False
