"""The zygotes of a worker, in a program of their own: they are forked, and pytest has threads."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json, os, sys, time
from types import SimpleNamespace
from jobs.engine.worker import zygotes

zygotes.IDLE_SECONDS, zygotes.MAX_BRANCHES = 0.0, 1

def work(channel):
    channel.read()
    channel.send([os.getppid(), "colorsys" in sys.modules])

def run(*modules):
    zygote = mine.of(modules)
    horse = zygote.take()
    horse.send({})
    horse.channel.setblocking(True)
    pid, loaded = json.loads(horse.channel.makefile("rb").read())
    zygote.release(horse)
    return {"pid": pid, "loaded": loaded}

def gone(pid):
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.01)
    return not os.path.exists(f"/proc/{pid}")

groups = ((), ("colorsys",), ("fractions",), zygotes.LIGHT_BRANCH)
mine = zygotes.Zygotes.start(work, [SimpleNamespace(modules=each) for each in groups])
facts = {"lean": run(), "first": run("colorsys"), "second": run("colorsys"), "lean again": run()}
facts["light"] = run(*zygotes.LIGHT_BRANCH)
facts["after the light one"] = run("colorsys")
facts["other"] = run("fractions")
facts["first gave way"] = gone(facts["first"]["pid"])
mine.read_notices()
facts["other was retired"] = gone(facts["other"]["pid"])
facts["third"] = run("colorsys")
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def facts() -> Any:
    program = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert program.returncode == 0, program.stderr
    return json.loads(program.stdout)


def test_a_branch_has_its_modules_and_the_lean_zygote_does_not(facts: Any) -> None:
    assert [facts[name]["loaded"] for name in ("lean", "first", "lean again", "other")] == [False, True, False, False]


def test_jobs_with_the_same_modules_share_a_zygote(facts: Any) -> None:
    assert facts["first"] == facts["second"]
    assert facts["lean"] == facts["lean again"]
    assert len({facts[name]["pid"] for name in ("lean", "first", "other")}) == 3


def test_the_light_branch_takes_no_room(facts: Any) -> None:
    assert facts["after the light one"] == facts["first"] != facts["light"]


def test_the_branch_used_longest_ago_gives_way_to_another(facts: Any) -> None:
    assert facts["first gave way"]


def test_an_idle_branch_is_retired_and_forked_again_when_needed(facts: Any) -> None:
    assert facts["other was retired"]
    assert facts["third"]["loaded"]
    assert facts["third"]["pid"] != facts["first"]["pid"]
