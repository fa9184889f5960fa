from __future__ import annotations

from jobs.engine.author.file_copies import copy_here, folder_of, remove_copies


def test_bytes_are_written_to_a_path_of_their_own() -> None:
    place = copy_here("a" * 32, iter([b"one ", b"two"]))
    assert place.read_bytes() == b"one two"
    remove_copies()
    assert not place.exists()


def test_the_copies_of_a_killed_process_are_removed_with_the_next_copy() -> None:
    left = folder_of(2**22 + 1)  # no process has this id
    left.mkdir(parents=True)
    (left / "file").touch()
    copy_here("a" * 32, iter([b"bytes"]))
    assert not left.exists()
    remove_copies()
