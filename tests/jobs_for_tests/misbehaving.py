"""One function for each way in which a job may harm its worker, by mistake or not."""

from __future__ import annotations

import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path

from jobs.engine import Fatal, RetryLater, checkpoint, job, log, progress


class Indescribable(Exception):
    """An exception that raises when it is converted to text."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    def __repr__(self) -> str:
        raise KeyboardInterrupt


@job
def return_in_a_forked_child(path: str, fails: bool = False) -> str:
    """Fork, and let the child return from this function, too."""
    if os.fork() == 0:
        if fails:
            raise ValueError("the child")
        return "the child"
    os.wait()
    Path(path).write_text("the parent was here")
    return "the parent"


@job
def scribble() -> str:
    """Write to every descriptor."""
    for text in (b"garbage{{{\n", b"[1]\n", b'{"ending": {"kind": "what"}}\n', b'{"lines": 5}\n', b"\xff\n"):
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, text)
            except OSError:
                continue
    return "done"


@job
def close_every_descriptor(path: str) -> str:
    """Close every descriptor, then write to a file."""
    os.closerange(3, 256)
    time.sleep(3)
    with Path(path).open("a") as file:
        file.write("an effect\n")
    return "done"


@job
def raise_the_indescribable(how: str = "raise") -> None:
    """End with an exception that can't be described."""
    if how == "exit":
        sys.exit(Indescribable())  # type: ignore[arg-type]
    if how == "fatal":
        raise Fatal(Indescribable())  # type: ignore[arg-type]
    raise Indescribable


@job
def come_back(seconds: str) -> None:
    """Raise RetryLater with a number of seconds."""
    raise RetryLater(float(seconds))


@job
def report_odd_values() -> str:
    """Report numbers and texts that JSON can't represent directly."""
    progress(Decimal("12.5"), "a \ud800 and \0")  # type: ignore[arg-type]
    progress(message=Path("of a path"))  # type: ignore[arg-type]
    progress(message="m" * 5_000_000)
    log("l" * 5_000_000)
    log("text", level=5)  # type: ignore[arg-type]
    checkpoint["\ud800"] = "\udcff"
    return "done"


@job
def fail_with_a_long_message() -> None:
    """Raise with a very long message."""
    raise ValueError("no end " * 4_000_000)


@job
def leak_secrets(path: str) -> None:
    """Raise with the content of a file."""
    raise ValueError(f"{Path(path).read_text()} of {path} and file://{path}")


@job
def break_json() -> str:
    """Replace a function that the horse needs."""
    json.dumps = lambda *_args, **_options: "broken"
    return "done"
