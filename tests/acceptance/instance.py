"""A whole instance, as `make run` starts it, with its surroundings: clients, a mail server and other web sites."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import psutil
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.loopback import free_port
from tests.mail_server import MailServer
from tests.waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "demo" / "samples"
JOBS_FOR_TESTS = "tests.jobs_for_tests"
LOOPBACK = "127.0.0.1"
PASSWORD = "correct horse battery"

Resource = dict[str, Any]


# --- the instance --------------------------------------------------------------------------


def end_now(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        pass  # It has ended by itself, or with its parent.


class Instance:
    """A broker, a web process and workers in their own folder. Tests reach them over HTTP only."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.data_dir = home / "var"
        self.port = free_port()
        self.address = f"http://{LOOPBACK}:{self.port}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(home)]),
            "JOB_PACKAGES": f"jobs,{JOBS_FOR_TESTS}",
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "WORKERS": "2",
            "SHUTDOWN_GRACE": "5",
            "RATE_LIMIT": "100000/minute",
            "ALLOWED_PRIVATE_HOSTS": LOOPBACK,
            **environment,
        }
        self._clients = ExitStack()
        self._users = 0

    def start(self) -> None:
        """Start the instance, and return once it is ready."""
        with (self.home / "printed").open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobs.engine.local"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(
            lambda: self.process.poll() is not None or "is ready" in self.printed,
            "the instance starts",
        )
        assert "is ready" in self.printed, self.printed
        self.admin = Api(self, "admin", (self.data_dir / "admin_api_key").read_text().strip())

    @property
    def printed(self) -> str:
        return (self.home / "printed").read_text()

    @property
    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def kill(self) -> None:
        """Kill every process at once, as a power cut does."""
        for each in (family := self.processes):
            end_now(each)
        self.process.wait()
        psutil.wait_procs(family, timeout=60)

    def client(self, token: str) -> httpx2.Client:
        """Make a client, which is closed with the instance."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._clients.enter_context(
            httpx2.Client(base_url=f"{self.address}/api/v1", headers=headers, timeout=60, trust_env=False)
        )

    def end(self) -> None:
        self._clients.close()
        if self.process.poll() is None:
            family = self.processes
            self.process.send_signal(signal.SIGTERM)
            _, left = psutil.wait_procs(family, timeout=15)
            for each in left:
                end_now(each)
        self.process.wait()

    def newcomer(self, name: str = "") -> Api:
        """Make a user for a test: registered by the administrator, signed in by password."""
        self._users += 1
        name = name or f"user{self._users}"
        user = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        self.admin.post("/users", user, status=201)
        return self.signed_in(name)

    def signed_in(self, name: str) -> Api:
        signed_in = Api(self, name, "").post("/token", {"username": name, "password": PASSWORD})
        return Api(self, name, signed_in["access_token"])

    def stored(self, user_id: str, document: str) -> Resource:
        """Read a user's document from disk."""
        place = self.data_dir / "storage" / "users" / user_id / "documents" / f"{document}.json"
        return dict(json.loads(place.read_text())) if place.exists() else {}


class Api:
    """The API, as one user calls it."""

    def __init__(self, instance: Instance, user_id: str, token: str) -> None:
        self.user_id, self.instance, self.token = user_id, instance, token
        self.http = instance.client(token)

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        if body is not None:
            options["json"] = body
        answer = self.http.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.call("POST", path, body, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.call("DELETE", path, **options)

    def submit(self, job_type: str, params: Resource, query: str = "") -> Resource:
        return dict(self.post(f"/jobs/{job_type}{query}", params, status=202))

    def refused(self, job_type: str, params: Resource) -> list[Resource]:
        """Submit invalid parameters. Return the errors."""
        return list(self.post(f"/jobs/{job_type}", params, status=422)["errors"])

    def find(self, job: Resource) -> Resource:
        return dict(self.get(f"/jobs/{job['job_id']}"))

    def until(self, job: Resource, condition: Callable[[Resource], bool]) -> Resource:
        """Follow a job by long polls until the condition is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(job):
            assert time.monotonic() < deadline, job
            answer = self.http.get(f"/jobs/{job['job_id']}?wait=5", headers={"If-None-Match": f'"{job["version"]}"'})
            assert answer.status_code in (200, 304), answer.text
            job = answer.json() if answer.status_code == 200 else job
        return job

    def ended(self, job: Resource) -> Resource:
        return self.until(job, lambda now: now["status"] in ("completed", "failed", "cancelled"))

    def running(self, job: Resource) -> Resource:
        return self.until(job, lambda now: now["status"] == "running")

    def run(self, job_type: str, **params: Any) -> Any:
        """Run a job, and return its result."""
        job = self.ended(self.submit(job_type, params))
        assert job["status"] == "completed", (job["error"], job["error_type"])
        assert (job["progress"], job["error"], job["error_type"]) == (100.0, None, None)
        return job["result"]

    def failed(self, job_type: str, **params: Any) -> str:
        """Run a job that fails, and return its error message."""
        job = self.ended(self.submit(job_type, params))
        assert job["status"] == "failed", job
        return str(job["error"])

    def upload(self, content: bytes | Path, filename: str = "upload") -> str:
        if isinstance(content, Path):
            return self.upload(content.read_bytes(), content.name)
        return str(self.call("POST", "/files", status=201, files={"file": (filename, content)})["file_id"])

    def sample(self, name: str) -> str:
        return self.upload(SAMPLES / name)

    def content(self, file_id: str) -> bytes:
        answer = self.http.get(f"/files/{file_id}/content")
        assert answer.status_code == 200, answer.text
        return answer.content

    def events(self, job: Resource) -> list[str]:
        return [event["type"] for event in self.get(f"/jobs/{job['job_id']}/events")["events"]]

    def logged(self, job: Resource) -> list[str]:
        return [line["message"] for line in self.get(f"/jobs/{job['job_id']}/logs")["lines"]]


# --- its surroundings -----------------------------------------------------------------------------


class PostOffice:
    """A mail server that keeps all mails, and that can be closed for a while."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.open()

    def open(self) -> None:
        self._server = MailServer(self, port=self.port)
        self._server.start()

    def close(self) -> None:
        self._server.stop()

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in list(self.mails) if mail["To"] == address]

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


#: Status, headers and body.
Answer = tuple[int, dict[str, str], bytes]


class Site(ThreadingHTTPServer):
    """A foreign web server. Each path returns the page that was put there."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, Answer | Callable[[bytes], Answer]] = {}
        #: The path, headers, body and client port of each request.
        self.seen: list[tuple[str, dict[str, str], bytes, int]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                site.seen.append((self.path, headers, body, self.client_address[1]))
                page = site.pages.get(self.path, (404, {}, b""))
                status, headers, content = page(body) if callable(page) else page
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 (http.server's name)

            def log_message(self, *args: Any) -> None:
                pass

        super().__init__((LOOPBACK, 0), Handler)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def article(self, path: str, html: bytes) -> str:
        self.pages[path] = (200, {"content-type": "text/html; charset=utf-8"}, html)
        return self.address + path

    def posts_to(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for seen, headers, body, _port in list(self.seen) if seen == path]


def completion_of(answer: Resource) -> Answer:
    """Make the response of a language model over the chat API."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(answer)}}
    completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice]}
    return 200, {"content-type": "application/json"}, json.dumps(completion).encode()
