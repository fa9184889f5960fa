"""Copies of stored files on this machine's disk, kept until the attempt ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .running import at_end


def copy_here(file_id: str, chunks: Iterable[bytes]) -> Path:
    """Write a file's bytes into the folder of this process, and return its path."""
    place = _make_folder() / file_id
    with place.open("wb") as target:
        for chunk in chunks:
            target.write(chunk)
    return place


def remove_copies() -> None:
    """Remove the copies of this process."""
    shutil.rmtree(folder_of(os.getpid()), ignore_errors=True)


def folder_of(pid: int) -> Path:
    """Return the folder for the copies of a process."""
    return Path(tempfile.gettempdir()) / f"workhorse-{os.getuid()}-files" / str(pid)


def _make_folder() -> Path:
    own = folder_of(os.getpid())
    own.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A process that was killed could not remove its own folder.
    for folder in own.parent.iterdir():
        if not _is_alive(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    own.mkdir(exist_ok=True)
    at_end(remove_copies)
    return own


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists, and belongs to another user
    return True
