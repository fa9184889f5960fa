"""The order in which test files are distributed to the test processes, and the boundary of their uploads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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


@pytest.fixture(scope="session", autouse=True)
def valid_boundaries() -> Iterator[None]:
    """Keep the boundaries of uploads within the 70 characters of RFC 2046.

    Those of Werkzeug's test client (3.1.9, test.py) end with a random number, and one in 400 is too long.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("werkzeug.test.random", lambda: 0.5)
        yield
