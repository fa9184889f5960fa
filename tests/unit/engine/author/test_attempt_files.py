"""The connections of an attempt's file store end with the attempt."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from jobs.engine import File, read_blob, save_file, write_blob
from jobs.engine.author import running
from tests.file_storage import save
from tests.waiting import eventually


def sockets() -> set[str]:
    """Return the names of this process's open sockets. Other tests' sockets may still close, so a count won't do."""
    names = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # a thread may close it between the listing and the reading
            names.add(str(descriptor.readlink()))
    return {name for name in names if name.startswith("socket:")}


@pytest.mark.usefixtures("in_a_job")
def test_no_connection_is_left_after_an_attempt_that_used_files_and_blobs():
    file_id = save(b"content")
    assert File(file_id=file_id).size == 7
    running.end()
    before = sockets()
    for _ in range(2):
        assert File(file_id=file_id).path.read_bytes() == b"content"
        save_file(b"more", "more.txt")
        write_blob("some/blob", b"blob")
        assert read_blob("some/blob") == b"blob"
        assert sockets() - before

        running.end()

        eventually(lambda: not sockets() - before, "the connections end")
