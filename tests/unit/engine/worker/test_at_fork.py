"""The stdlib's fork hooks are skipped on the one Python that their replacements were written for."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from types import CodeType

import pytest

from jobs.engine.worker.at_fork import WRITTEN_FOR, ForkHooks, this_python

#: In a process of its own: it forks with the hooks skipped, and its child restores them.
FORKING = """
import logging, os, sys, threading
from jobs.engine.worker.at_fork import fork_hooks

fork_hooks.skip()
pid = os.fork()
if pid == 0:
    fork_hooks.restore()
    logging.warning("from the child")
    thread = threading.Thread(target=logging.warning, args=("from its thread",))
    thread.start()
    thread.join()
    grandchild = os.fork()
    if grandchild == 0:
        logging.warning("from the grandchild")
        os._exit(0)
    os._exit(os.waitpid(grandchild, 0)[1])
sys.exit(os.waitpid(pid, 0)[1])
"""


def hooks() -> tuple[CodeType, CodeType]:
    return threading._after_fork.__code__, logging._after_at_fork_child_reinit_locks.__code__  # type: ignore[attr-defined]


def test_the_hooks_are_skipped_on_the_python_they_were_written_for_until_they_are_restored():
    own = hooks()
    subject = ForkHooks(this_python())
    subject.skip()
    skipped = hooks()
    subject.restore()

    replaced = [mine is not theirs for mine, theirs in zip(skipped, own, strict=True)]
    assert replaced == [this_python() == WRITTEN_FOR] * 2
    assert hooks() == own


@pytest.mark.parametrize("python", [("cpython", 3, 10), ("cpython", 3, 12), ("cpython", 3, 13), ("pypy", 3, 11)])
def test_nothing_is_replaced_on_another_python(python):
    own = hooks()
    subject = ForkHooks(python)
    subject.skip()

    assert hooks() == own
    subject.restore()
    assert hooks() == own


def test_a_child_whose_hooks_were_skipped_logs_starts_threads_and_forks():
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("WARNING") == 3
