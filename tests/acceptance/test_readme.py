"""The README's story, executed: its job, its shell session with curl, against what `make run` starts."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
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

from tests.acceptance.house import end_now
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

PACKAGE = "jobs_of_the_readme"
GRACE_SECONDS = 10
#: The embedded broker stops after all others.
BROKER_STOP_SECONDS = 5
COMMAND_SECONDS = 40
SENTINEL = "that was all of it"

#: What differs from run to run, and is copied from an output into a later command.
COPIED = re.compile(r"[0-9a-f]{16,}|wh_[0-9A-Za-z]{40,}")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


# --- the instance --------------------------------------------------------------------------


@dataclass
class Instance:
    """What `make run` starts, in a folder of its own, with the README's job in its catalogue."""

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
        eventually(lambda: self.process.poll() is not None or "is ready" in self.printed, "it is ready", 40)
        assert "is ready" in self.printed, self.printed

    @property
    def printed(self) -> str:
        return (self.home / "printed").read_text()

    def interrupt(self) -> float:
        """Press Ctrl-C, and wait for the end. Answers how many seconds it took."""
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


@pytest.fixture
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Instance]:
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "pi.py").write_text(blocks("python")[0])
    with socket.create_server(("127.0.0.1", 0)) as free:
        instance = Instance(tmp_path, free.getsockname()[1], getattr(request, "param", GRACE_SECONDS))
    instance.start()
    yield instance
    instance.end()


# --- the session ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    command: str
    #: What the README says that it prints.
    output: list[str]


def steps() -> list[Step]:
    """The commands of all `console` blocks, in order, with their outputs."""
    found: list[Step] = []
    for line in "".join(blocks("console")).splitlines():
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
            assert ready, f"it did not end in {COMMAND_SECONDS} s: {command}"
            printed += self._process.stdout.read(65_536)
        return printed.decode().removesuffix(f"{SENTINEL}\n").splitlines()

    def close(self) -> None:
        # With all that it started: a command that hangs would hold the pipe.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # the session names a sample as it is seen from here
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def document(line: str) -> Any:
    """A line of JSON, or of members that grep took out of an object; other text as it is."""
    for text in (line, f"{{{line}}}"):
        try:
            return json.loads(text)
        except ValueError:
            continue
    return line


def copied(told: Any, seen: Any) -> dict[str, str]:
    """What a reader would copy: the ids and keys of the README, each with what this run has in its place."""
    if isinstance(told, dict) and isinstance(seen, dict):
        return {old: new for name in told.keys() & seen.keys() for old, new in copied(told[name], seen[name]).items()}
    if isinstance(told, list) and isinstance(seen, list):
        return {old: new for each in zip(told, seen, strict=False) for old, new in copied(*each).items()}
    if isinstance(told, str) and isinstance(seen, str) and COPIED.fullmatch(told):
        return {told: seen}
    return {}


def assert_same_shape(told: Any, seen: Any) -> None:
    """The same members with values of the same types; null stands for any: a job may be a moment further."""
    if told is None or seen is None:
        return
    if isinstance(told, dict):
        assert told.keys() == seen.keys()
        for name in told:
            assert_same_shape(told[name], seen[name])
    elif isinstance(told, (int, float)) and not isinstance(told, bool):
        assert isinstance(seen, (int, float))
    elif isinstance(told, str) and not isinstance(document(told), str):
        assert isinstance(seen, str)
    else:
        assert type(told) is type(seen)


@dataclass(frozen=True)
class Ran:
    step: Step
    printed: list[str]

    @property
    def documents(self) -> list[Any]:
        return [document(line) for line in self.printed]


def run_session(shell: Shell, port: int) -> list[Ran]:
    """Type the README's commands, with this run's port, ids and key in place of those that it shows."""
    replaced = {"127.0.0.1:8000": f"127.0.0.1:{port}"}
    session = []
    for step in steps():
        command = step.command
        for old, new in replaced.items():
            command = command.replace(old, new)
        ran = Ran(step, shell.run(command))
        session.append(ran)
        for told, seen in zip(step.output, ran.printed, strict=False):
            replaced |= copied(document(told), document(seen))
    return session


def only(session: list[Ran], words: str) -> Ran:
    """The one step whose command has these words."""
    (found,) = [ran for ran in session if words in ran.step.command]
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="the session is one with curl")
def test_the_session_in_the_readme_prints_what_the_readme_says(instance: Instance, shell: Shell) -> None:
    # The session polls for three seconds: its worker must be up, as it is once somebody has read so far.
    first = instance.ask("/jobs/estimate-pi", {"rounds": 1})["job_id"]
    eventually(lambda: instance.ask(f"/jobs/{first}")["status"] == "completed", "it is completed", 40)

    session = run_session(shell, instance.port)

    for ran in session:
        told = [document(line) for line in ran.step.output if line]
        if "/job-types" in ran.step.command:
            assert ran.printed == ran.step.output
            continue
        if "/stream" in ran.step.command:
            assert ran.printed[-1].split() == ran.step.output[-1].split() == ["1", "event:", "complete"]
            assert len(ran.printed) > 1, "it was over before it was followed"
            continue
        seen_documents = [each for each in ran.documents if each != ""]
        assert len(told) == len(seen_documents), ran
        for expected, seen in zip(told, seen_documents, strict=True):
            assert_same_shape(expected, seen)

    assert only(session, '"many"').documents[0]["errors"][0]["pointer"] == "/rounds"
    assert only(session, "HTTP %{http_code}").printed[-1] == "HTTP 202"
    polled = [each["progress"] for each in only(session, "sleep").documents]
    assert polled == sorted(polled)
    assert len(set(polled)) >= 3
    (estimated,) = only(session, "wait=25").documents
    assert 3.1 < estimated["result"] < 3.2
    (predicted,) = only(session, "Prefer: wait").documents
    assert [each["label"] for each in predicted["result"]["predictions"]] == ["positive", "negative"]
    (used,) = only(session, "?wait=20").documents
    assert used["result"]["label"] == "cooking"


@pytest.mark.slow
def test_a_second_start_knows_the_jobs_and_goes_on_with_the_one_that_was_running(instance: Instance) -> None:
    done = instance.ask("/jobs/estimate-pi", {"rounds": 1})["job_id"]
    eventually(lambda: instance.ask(f"/jobs/{done}")["status"] == "completed", "it is completed", 40)
    long = instance.ask("/jobs/estimate-pi?timeout=3600", {"rounds": 1_000_000})["job_id"]
    eventually(lambda: instance.ask(f"/jobs/{long}")["progress_current"], "it makes progress", 40)

    seconds = instance.interrupt()

    assert seconds <= GRACE_SECONDS + BROKER_STOP_SECONDS
    assert instance.process.returncode == 0
    assert instance.left_behind() == []
    instance.start()
    assert instance.ask(f"/jobs/{done}")["status"] == "completed"
    again = eventually(lambda: (job := instance.ask(f"/jobs/{long}"))["status"] == "running" and job, "it runs", 40)
    assert again["resumed"] == 1
    assert again["attempt"] == 1
    cancel(instance, long)
    eventually(lambda: instance.ask(f"/jobs/{long}")["status"] == "cancelled", "it is cancelled", 40)


#: Long enough that even a busy machine shows that it was not waited out.
@pytest.mark.parametrize("instance", [25], indirect=True)
def test_ctrl_c_without_a_running_job_ends_it_all_at_once(instance: Instance) -> None:
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
