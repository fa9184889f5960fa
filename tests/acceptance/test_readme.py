"""Run the job and the shell sessions of the README and of two pages of docs, against an instance of `make run`."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.instance import end_now
from tests.loopback import free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GETTING_STARTED = ROOT / "docs" / "getting-started.md"
HTTP_API = ROOT / "docs" / "http-api.md"

PACKAGE = "jobs_of_the_readme"
GRACE_SECONDS = 10
#: The embedded broker stops after all others.
BROKER_STOP_SECONDS = 5
COMMAND_SECONDS = 60
SENTINEL = "end of output"

#: Ids and keys: they differ from run to run, and readers copy them from an output into a later command.
COPIED = re.compile(r"[0-9a-f]{16,}|wh_[0-9A-Za-z]{40,}")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


# --- the instance --------------------------------------------------------------------------


@dataclass
class Instance:
    """An instance as `make run` starts it, in a folder of its own, with the README's job in its catalogue."""

    home: Path
    port: int
    grace_seconds: int
    process: subprocess.Popen[bytes] = field(init=False)
    family: list[psutil.Process] = field(default_factory=list)

    def start(self) -> None:
        with (self.home / "printed").open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobs.engine.local"],
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": os.environ["HOME"],
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.home)]),
                    "JOB_PACKAGES": f"jobs,{PACKAGE}",
                    "DATA_DIR": str(self.home / "var"),
                    "PORT": str(self.port),
                    "WORKERS": "2",
                    "SHUTDOWN_GRACE": str(self.grace_seconds),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: self.process.poll() is not None or "is ready" in self.printed, "it is ready")
        assert "is ready" in self.printed, self.printed

    @property
    def printed(self) -> str:
        return (self.home / "printed").read_text()

    def interrupt(self) -> float:
        """Press Ctrl-C and wait for the end. Return how many seconds it took."""
        main = psutil.Process(self.process.pid)
        self.family = [main, *main.children(recursive=True)]
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(self.grace_seconds + 20)
        return time.monotonic() - began

    def left_behind(self) -> list[psutil.Process]:
        return [each for each in self.family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]

    def end(self) -> None:
        if self.process.poll() is None:
            self.interrupt()
        for each in self.left_behind():
            end_now(each)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {(self.home / 'var' / 'admin_api_key').read_text()}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=COMMAND_SECONDS) as answer:
            return dict(json.load(answer))


def with_the_job_of_the_readme(home: Path, grace_seconds: int = GRACE_SECONDS) -> Instance:
    package = home / PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "pi.py").write_text(blocks(README, "python")[0])
    return Instance(home, free_port(), grace_seconds)


@pytest.fixture
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Instance]:
    instance = with_the_job_of_the_readme(tmp_path, getattr(request, "param", GRACE_SECONDS))
    instance.start()
    yield instance
    instance.end()


@pytest.fixture(scope="module")
def shared_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Yield an instance for all sessions. A worker is ready: it is once a reader gets to the first command."""
    instance = with_the_job_of_the_readme(tmp_path_factory.mktemp("shared"))
    instance.start()
    first = instance.ask("/jobs/estimate-pi", {"rounds": 1})["job_id"]
    eventually(lambda: instance.ask(f"/jobs/{first}")["status"] == "completed", "it is completed")
    yield instance
    instance.end()


# --- the session ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    command: str
    #: The output that the page shows.
    output: list[str]


def steps(page: Path) -> list[Step]:
    """Return the commands of all `console` blocks, in order, with their outputs."""
    found: list[Step] = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            found.append(Step(line.removeprefix("$ "), []))
        elif line.startswith("> "):
            found[-1] = Step(f"{found[-1].command}\n{line.removeprefix('> ')}", [])
        else:
            found[-1].output.append(line)
    return found


class Shell:
    """One bash for the whole session, so that its variables last."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )

    def run(self, command: str) -> list[str]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{command}\necho '{SENTINEL}'\n".encode())
        deadline = time.monotonic() + COMMAND_SECONDS
        printed = b""
        while not printed.endswith(f"{SENTINEL}\n".encode()):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not finished after {COMMAND_SECONDS} s: {command}"
            printed += self._process.stdout.read(65_536)
        return printed.decode().removesuffix(f"{SENTINEL}\n").splitlines()

    def close(self) -> None:
        # With all its children: a command that hangs would keep the pipe open.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def shell(shared_instance: Instance) -> Iterator[Shell]:
    samples = shared_instance.home / "demo"  # a session uploads a sample by its path in the project
    if not samples.exists():
        samples.symlink_to(ROOT / "demo")
    shell = Shell(shared_instance.home)
    yield shell
    shell.close()


def document(line: str) -> Any:
    """Parse a line of JSON, or of members that grep took out of an object. Return other text unchanged."""
    for text in (line, f"{{{line}}}"):
        try:
            return json.loads(text)
        except ValueError:
            continue
    return line


def copied(shown: Any, seen: Any) -> dict[str, str]:
    """Map the ids and keys that the page shows to those of this run."""
    if isinstance(shown, dict) and isinstance(seen, dict):
        return {old: new for name in shown.keys() & seen.keys() for old, new in copied(shown[name], seen[name]).items()}
    if isinstance(shown, list) and isinstance(seen, list):
        return {old: new for each in zip(shown, seen, strict=False) for old, new in copied(*each).items()}
    if isinstance(shown, str) and isinstance(seen, str) and COPIED.fullmatch(shown):
        return {shown: seen}
    return {}


def assert_same_shape(shown: Any, seen: Any) -> None:
    """Check for the same members with values of the same types. null matches anything: a job may be further on."""
    if shown is None or seen is None:
        return
    if isinstance(shown, dict):
        assert shown.keys() == seen.keys()
        for name in shown:
            assert_same_shape(shown[name], seen[name])
    elif isinstance(shown, (int, float)) and not isinstance(shown, bool):
        assert isinstance(seen, (int, float))
    elif isinstance(shown, str) and not isinstance(document(shown), str):
        assert isinstance(seen, str)
    else:
        assert type(shown) is type(seen)


@dataclass(frozen=True)
class Ran:
    step: Step
    printed: list[str]

    @property
    def documents(self) -> list[Any]:
        return [document(line) for line in self.printed]


def run_session(page: Path, shell: Shell, port: int) -> list[Ran]:
    """Type the commands of a page, with this run's port, ids and key, and check the shapes of their outputs."""
    replaced = {"127.0.0.1:8000": f"127.0.0.1:{port}"}
    session = []
    for step in steps(page):
        command = step.command
        for old, new in replaced.items():
            command = command.replace(old, new)
        ran = Ran(step, shell.run(command))
        assert_output(ran)
        session.append(ran)
        for shown, seen in zip(step.output, ran.printed, strict=False):
            replaced |= copied(document(shown), document(seen))
    return session


def assert_output(ran: Ran) -> None:
    if "/job-types" in ran.step.command:
        assert ran.printed == ran.step.output
    elif "/stream" in ran.step.command:
        assert ran.printed[-1].split() == ran.step.output[-1].split() == ["1", "event:", "complete"]
        assert len(ran.printed) > 1, "the job had ended before the stream began"
    else:
        shown_documents = [document(line) for line in ran.step.output if line]
        seen_documents = [each for each in ran.documents if each != ""]
        assert len(shown_documents) == len(seen_documents), ran
        for shown, seen in zip(shown_documents, seen_documents, strict=True):
            assert_same_shape(shown, seen)


def only(session: list[Ran], words: str) -> Ran:
    """Return the one step whose command contains these words."""
    (found,) = [ran for ran in session if words in ran.step.command]
    return found


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the sessions use curl")


@needs_curl
def test_the_session_of_the_readme_prints_what_the_readme_shows(shared_instance: Instance, shell: Shell) -> None:
    session = run_session(README, shell, shared_instance.port)

    (estimated,) = session[-1].documents
    assert 3.1 < estimated["result"] < 3.2


@needs_curl
def test_the_session_of_getting_started_prints_what_the_page_shows(shared_instance: Instance, shell: Shell) -> None:
    session = run_session(GETTING_STARTED, shell, shared_instance.port)

    assert only(session, '"many"').documents[0]["errors"][0]["pointer"] == "/rounds"
    assert only(session, "HTTP %{http_code}").printed[-1] == "HTTP 202"
    polled = [each["progress"] for each in only(session, "sleep").documents]
    assert polled == sorted(polled)
    assert len(set(polled)) >= 3
    (estimated,) = only(session, "wait=25").documents
    assert 3.1 < estimated["result"] < 3.2
    (predicted,) = only(session, "Prefer: wait").documents
    assert [each["label"] for each in predicted["result"]["predictions"]] == ["positive", "negative"]


@needs_curl
def test_the_session_of_the_http_api_page_prints_what_the_page_shows(shared_instance: Instance, shell: Shell) -> None:
    session = run_session(HTTP_API, shell, shared_instance.port)

    (used,) = only(session, "?wait=20").documents
    assert used["result"]["label"] == "cooking"


@pytest.mark.slow
def test_a_restart_keeps_the_jobs_and_continues_the_one_that_was_running(instance: Instance) -> None:
    done = instance.ask("/jobs/estimate-pi", {"rounds": 1})["job_id"]
    eventually(lambda: instance.ask(f"/jobs/{done}")["status"] == "completed", "it is completed")
    long = instance.ask("/jobs/estimate-pi?timeout=3600", {"rounds": 1_000_000})["job_id"]
    eventually(lambda: instance.ask(f"/jobs/{long}")["progress_current"], "it makes progress")

    seconds = instance.interrupt()

    assert seconds <= GRACE_SECONDS + BROKER_STOP_SECONDS
    assert instance.process.returncode == 0
    assert instance.left_behind() == []
    instance.start()
    assert instance.ask(f"/jobs/{done}")["status"] == "completed"
    again = eventually(lambda: (job := instance.ask(f"/jobs/{long}"))["status"] == "running" and job, "it runs")
    assert again["resumed"] == 1
    assert again["attempt"] == 1
    cancel(instance, long)
    eventually(lambda: instance.ask(f"/jobs/{long}")["status"] == "cancelled", "it is cancelled")


#: So long that even on a busy machine the test shows that the grace time was not used up.
@pytest.mark.parametrize("instance", [25], indirect=True)
def test_ctrl_c_without_a_running_job_stops_everything_at_once(instance: Instance) -> None:
    assert instance.interrupt() < instance.grace_seconds
    assert instance.left_behind() == []
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{instance.port}/healthz", timeout=5)


def cancel(instance: Instance, job_id: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{instance.port}/api/v1/jobs/{job_id}",
        method="DELETE",
        headers={"Authorization": f"Bearer {(instance.home / 'var' / 'admin_api_key').read_text()}"},
    )
    with urllib.request.urlopen(request, timeout=COMMAND_SECONDS) as answer:
        assert answer.status == 202
