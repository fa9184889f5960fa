"""What all tests share: their order, how files are distributed to the test processes, and their environment."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadFileScheduling

# The tests start hundreds of Python processes. Each would compile every module if it could not keep the bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a script starts in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: The acceptance tests that start instances of their own. The others share two, which one test process starts.
WITH_OWN_INSTANCES = ("test_readme.py", "test_systems_control.py")

#: The directories of tests that start real processes, and so wait more than they compute.
WITH_PROCESSES = ("integration", "acceptance", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first and unit tests last, so that the processes end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> int:
        if item.path in slow:
            return 0
        return 1 if item.path.parent.name in WITH_PROCESSES else 2

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByInstance:
    return ByInstance(config, log)


class ByInstance(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Run each file in one test process, and all files that share an instance in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        path = PurePath(file)
        shares = path.parent.name == "acceptance" and path.name not in WITH_OWN_INSTANCES
        return str(path.parent) if shares else file


@pytest.fixture(scope="session", autouse=True)
def valid_boundaries() -> Iterator[None]:
    """Keep the boundaries of uploads within the 70 characters of RFC 2046.

    Those of Werkzeug's test client (3.1.9, test.py) end with a random number, and one in 400 is too long.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("werkzeug.test.random", lambda: 0.5)
        yield
