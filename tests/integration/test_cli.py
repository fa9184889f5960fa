"""The command line on a real broker and real workers: as a process where that matters, else in this one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.engine.follow.follower import Follower
from tests.integration.harness import ROOT, Harness
from tests.unit.webapp.command import Command
from tests.waiting import eventually
from webapp.application import build_services, make_app

FLASK = str(Path(sys.executable).with_name("flask"))
BAR = re.compile(r"\[(#*)-*\] +(\d+) %")


class CommandLine:
    """Starts a process for each command."""

    def __init__(self, harness: Harness) -> None:
        self.environment = harness.environment

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FLASK, "--app", "webapp", *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def on_a_terminal(self, *arguments: str) -> tuple[int, str]:
        """Return its exit code and its output to a terminal of 100 columns."""
        process, screen = self.begin_on_a_terminal(*arguments)
        sent = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([screen], [], [], 0.2)[0]:
                try:
                    data = os.read(screen, 65_536)
                except OSError:  # on Linux: the other end is closed
                    break
                sent += data
        os.close(screen)
        return process.wait(timeout=60), sent.decode()

    def begin_on_a_terminal(self, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [FLASK, "--app", "webapp", *arguments],
            cwd=ROOT,
            env=self.environment | {"COLUMNS": "100", "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        return process, ours


@pytest.fixture(scope="module")
def run(harness: Harness, workers: subprocess.Popen[bytes]) -> CommandLine:
    return CommandLine(harness)


@pytest.fixture(scope="module")
def call(harness: Harness, workers: subprocess.Popen[bytes]) -> Iterator[Command]:
    services = build_services(harness.settings)
    yield Command(make_app(services))
    services.client.store.connection.close()


def test_the_command_starts_without_loading_a_web_server(harness: Harness) -> None:
    asked = "import sys, webapp; webapp.create_app(); print([n for n in ('gevent', 'gunicorn') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=harness.environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_job_is_submitted_and_waited_for(run: CommandLine) -> None:
    done = run("jobs", "submit", "echo", "--text", "hi", "--times", "2", "--wait")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, ["hi", "hi"], "")


def test_following_prints_plain_lines_without_a_terminal(run: CommandLine) -> None:
    done = run("jobs", "submit", "report-slowly", "--steps", "8", "--seconds", "0.3", "--follow")
    job_id, *lines, last, result = done.stdout.splitlines()
    assert done.returncode == 0 and result == "8"
    assert len(job_id) == 32 and "\x1b" not in done.stdout
    assert last == "100 %  completed  8 of 8  Counting"
    assert any(re.search(r"running  [1-8] of 8  .*Counting", line) for line in lines)


def test_a_terminal_shows_a_moving_bar(run: CommandLine) -> None:
    code, sent = run.on_a_terminal("jobs", "submit", "report-slowly", "--steps", "8", "--seconds", "0.3", "--follow")
    drawn = BAR.findall(sent)
    assert code == 0
    filled, percents = [len(bar) for bar, _ in drawn], [int(percent) for _, percent in drawn]
    assert filled == sorted(filled) and percents == sorted(percents) and percents[-1] == 100
    assert len(set(filled)) >= 4, sent
    assert re.search(r"of 8  [\d.]+/s  ETA [\d.]+ s  Counting", sent)


def test_the_log_of_a_followed_job_is_printed(run: CommandLine) -> None:
    done = run("jobs", "submit", "talk", "--follow", "--logs")
    assert done.returncode == 0
    for text in ("to stdout", "to stderr", "to logging", "to log", "from a child"):
        assert done.stdout.count(text + "\n") == 1, text


def test_a_failed_job_sets_the_exit_code_and_can_be_retried(run: CommandLine, call: Command) -> None:
    done = run("jobs", "submit", "fail", "--message", "no luck", "--wait", "--json")
    job = json.loads(done.stdout)
    assert (done.returncode, job["status"], job["error"]) == (1, "failed", "no luck")
    assert call("jobs", "retry", job["job_id"]).code == 0
    again = call("jobs", "follow", job["job_id"])
    assert again.code == 1 and again.err.endswith("ValueError: no luck\n")


def test_a_running_job_is_cancelled(call: Command, harness: Harness) -> None:
    job_id = call.submits("sleep", "--seconds", "60")
    harness.running(harness.client.find(job_id))
    assert call("jobs", "cancel", job_id).out == "The job is running; its worker will stop it within 5 seconds.\n"
    done = call("jobs", "follow", job_id)
    assert done.code == 1 and done.err.startswith("cancelled after ")
    assert call("jobs", "cancel", job_id).code == 5


def test_ctrl_c_does_not_stop_the_job(run: CommandLine, harness: Harness) -> None:
    job = harness.running(harness.submit("sleep", seconds=60))
    process, screen = run.begin_on_a_terminal("jobs", "follow", job.job_id)
    seen = b""

    def follows() -> bool:
        nonlocal seen
        if select.select([screen], [], [], 0)[0]:
            seen += os.read(screen, 65_536)
        return b"running" in seen

    eventually(follows, "it follows")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    os.close(screen)
    assert harness.client.find(job.job_id).status == "running"
    harness.client.cancel(job.job_id)
    assert harness.ended(job).status == "cancelled"


def test_the_doctor_finds_and_repairs_damage(call: Command, harness: Harness) -> None:
    assert call("jobs", "doctor").out == "No damage found.\n"
    job = harness.submit("noop", options={"delay_seconds": 600})
    harness.connection.zrem("rq:scheduled:default", job.job_id)
    sick = call("jobs", "doctor")
    assert sick.code == 1
    assert f"in_no_list: job {job.job_id}" in sick.out and "use --repair" in sick.out
    repaired = call("jobs", "doctor", "--repair", "--json")
    assert repaired.code == 0
    document = repaired.json
    assert len(document["findings"]) == 1 and document["left"] == []
    assert call("jobs", "doctor").code == 0
    harness.client.cancel(job.job_id)


def test_the_check_fails_if_a_queued_job_type_is_removed(run: CommandLine, call: Command, harness: Harness) -> None:
    job = harness.submit("noop", options={"delay_seconds": 600})
    assert call("jobs", "check").code == 0
    done = run("jobs", "check", JOB_PACKAGES="jobs")
    assert done.returncode == 1
    assert f"Incompatible: job {job.job_id} (noop, scheduled): function " in done.stdout
    harness.client.cancel(job.job_id)


def test_bad_settings_and_an_unreachable_broker_end_with_a_sentence(run: CommandLine) -> None:
    bad = run("jobs", "check", WORKERS="many")
    assert bad.returncode == 2 and bad.stderr.startswith("Error: These settings can't be used:\n  WORKERS='many'")
    away = run("jobs", "check", REDIS_URL="redis://:secret@127.0.0.1:1/0")
    assert away.returncode == 3 and "Traceback" not in away.stderr
    assert "redis://(hidden)@127.0.0.1:1/0" in away.stderr and "secret" not in away.stderr


def test_a_user_gets_a_key_and_submits(
    call: Command, harness: Harness, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKHORSE_PASSWORD", "correct horse")
    made = call("users", "add", "carol", "carol@example.com")
    assert made.code == 0, made.err
    assert call("keys", "add", "carol").out.startswith("wh_")
    job_id = call.submits("noop", "--as", "carol")
    job = follower.wait(job_id, after=None, timeout=60)
    assert (job.user_id, job.status) == ("carol", "completed")
    assert call("users", "delete", "carol", "--yes").code == 0
    assert call("jobs", "show", job_id).code == 4
