"""A tour as a client sees it: submit real jobs over HTTP, follow them, print what they answer.

    python -m jobs.engine.demo

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
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any

from .errors import CannotStart, WorkhorseError
from .local import KILL_PAUSE_SECONDS, READY_PATIENCE_SECONDS, ROOT, not_ready
from .settings import Settings

LOOPBACK = "127.0.0.1"
#: What one long poll waits for news, and how long a job may go without any.
WAIT_SECONDS = 10
PATIENCE_SECONDS = 120.0
BAR_WIDTH = 30

THINGS = ("food", "service", "room", "view", "price", "music", "staff", "bed", "coffee", "walk")
JUDGEMENTS = {
    "positive": ("wonderful", "excellent", "lovely", "perfect", "delightful"),
    "negative": ("terrible", "awful", "dreadful", "disappointing", "miserable"),
}
FRAMES = ("The {} was {}.", "I found the {} {}.", "What a {}: simply {}!", "Our {} turned out to be {}.")

ARTICLE = """<!doctype html><html lang="es"><head><meta charset="utf-8"><title>El huerto del barrio</title></head>
<body><article><h1>El huerto del barrio</h1>
<p>Hace tres años, los vecinos de una calle tranquila decidieron convertir un solar abandonado en un huerto. Quitaron
los escombros, trajeron tierra fértil y construyeron una valla con madera reciclada. Ahora crecen allí tomates,
calabacines y hierbas aromáticas, y los niños aprenden de dónde viene lo que comen.</p>
<p>La cosecha se reparte cada sábado por la mañana. Quien riega durante la semana se lleva una cesta llena, y lo que
sobra llega al comedor social. El ayuntamiento les cedió una manguera y un pequeño cobertizo para guardar las
herramientas, pero el trabajo lo hacen ellos, con paciencia y buen humor.</p>
<p>No todo ha sido sencillo: una sequía arruinó las lechugas del primer verano, y los caracoles devoraron las
fresas. Los vecinos aprendieron a recoger el agua de la lluvia y a plantar caléndulas, que ahuyentan las plagas. Hoy
el huerto alberga también una colmena, y la miel se ha vuelto famosa en todo el barrio.</p>
</article></body></html>"""

Resource = dict[str, Any]


class Refused(Exception):
    """The server did not take a request. A client's error: none of those that the server knows."""

    def __init__(self, status: int, problem: Resource) -> None:
        faults = "; ".join(str(fault.get("message")) for fault in problem.get("errors", []))
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title')} {faults}".rstrip())
        self.status = status


class Api:
    """The HTTP API, as far as the tour needs it."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def submit(self, job_type: str, **params: Any) -> Resource:
        """Submit a job. Raises Refused."""
        job = self._call("POST", f"/api/v1/jobs/{job_type}", params)
        assert job is not None
        return job

    def news(self, job: Resource) -> Resource | None:
        """The job, as soon as it has changed; None if it has not for WAIT_SECONDS. Raises Refused."""
        seen = {"If-None-Match": f'"{job["version"]}"'}
        return self._call("GET", f"{job['poll_url']}?wait={WAIT_SECONDS}", headers=seen)

    def _call(
        self, method: str, path: str, body: Resource | None = None, headers: dict[str, str] | None = None
    ) -> Resource | None:
        request = urllib.request.Request(  # noqa: S310 # our own address
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=self._headers | (headers or {}),
            method=method,
        )
        try:
            with self._opener.open(request, timeout=WAIT_SECONDS + 20) as answer:
                document: Resource = json.load(answer)
                return document
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_MODIFIED:
                return None
            raise Refused(error.code, _problem(error)) from None


def _problem(error: urllib.error.HTTPError) -> Resource:
    try:
        return dict(json.load(error))
    except ValueError:  # something else than our API answers there
        return {"title": error.reason}


# --- the tour --------------------------------------------------------------------------


def main() -> int:
    """Take the tour. Answers the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
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
    """Run four jobs. Answers 0 if all of them completed."""
    print(f"Submitting jobs to {api.address}\n")
    trained = finished(api, api.submit("train-model", training_data=examples(), epochs=10))
    jobs = [trained]
    if trained["status"] == "completed":
        model_id = trained["result"]["model_id"]
        jobs.append(finished(api, api.submit("batch-predict", texts=texts(1000), model_id=model_id)))
    jobs += vocabulary(api)
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
            yield f"http://{LOOPBACK}:{server.server_port}/huerto"
        finally:
            server.shutdown()
            thread.join()


class ArticlePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ARTICLE.encode()
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
    deadline = time.monotonic() + READY_PATIENCE_SECONDS
    while instance.poll() is None and time.monotonic() < deadline:
        if not_ready(address) is None:
            return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
