"""The order in which files are handed out to the processes that run them."""

from __future__ import annotations

import pytest

#: Directories of tests that start real processes, and so wait more than they compute.
WITH_PROCESSES = ("integration", "acceptance", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring files with slow tests to the front, and unit tests to the end: they fill what time is left over."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> int:
        if item.path in slow:
            return 0
        return 1 if item.path.parent.name in WITH_PROCESSES else 2

    items.sort(key=rank)
