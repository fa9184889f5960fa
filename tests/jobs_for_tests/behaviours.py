"""One function for each way in which a job may behave."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from jobs.engine import Fatal, Retry, RetryLater, checkpoint, current_job, job, log, progress, track


@job
def noop() -> None:
    """Do nothing."""


@job(timeout=60)
def echo(text: str, times: int = 1) -> list[str]:
    """Return a text."""
    return [text] * times


@job
def report_slowly(steps: int = 4, seconds: float = 0.3) -> int:
    """Count to a number, and report the progress."""
    for _ in track(range(steps), "Counting"):
        time.sleep(seconds)
    return steps


@job
def fail(message: str = "the well is dry") -> None:
    """Raise."""
    raise ValueError(message)


@job
def fail_after_progress(path: str) -> str:
    """Report progress, and fail unless the file exists."""
    progress(50, "halfway")
    if not Path(path).exists():
        raise ValueError("the file is missing")
    return "fixed"


@job
def fail_in_library() -> None:
    """Raise in code that is not the author's."""
    import json

    json.loads("{secret-token-in-a-library")


@job
def fail_fatally() -> None:
    """Raise Fatal."""
    raise Fatal("no such model at /etc/passwd/model")


@job(retry=Retry(max=2, backoff="exponential", delay=0.3, jitter=False))
def flaky(path: str, fails: int = 2) -> int:
    """Fail a few times, then succeed."""
    marks = Path(path)
    with marks.open("a") as file:
        file.write(f"{time.time()}\n")
    tries = len(marks.read_text().splitlines())
    if tries <= fails:
        raise ConnectionError(f"try {tries} failed")
    return tries


@job
def come_back_later(path: str, seconds: float = 0.3) -> str:
    """Raise RetryLater once."""
    marks = Path(path)
    if not marks.exists():
        marks.write_text("here")
        raise RetryLater(seconds, "not yet")
    return "now"


@job(timeout=1)
def sleep_too_long(seconds: float = 60) -> None:
    """Sleep."""
    time.sleep(seconds)


@job(timeout=1)
def hang_in_c() -> None:
    """Compute in C, where no Python signal handler runs."""
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 200_000_000)


@job(stall_timeout=1.0)
def stall() -> None:
    """Report once, then never again."""
    progress(10, "Beginning")
    time.sleep(60)


@job
def what_time_is_it() -> float:
    """Return the wall clock's time."""
    return time.time()


@job
def sleep(seconds: float, path: str | None = None) -> float:
    """Sleep. Write the process ids of this job and of its child to a file."""
    if path:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(path).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(seconds)
    return seconds


@job
def wait_for_file(path: str) -> None:
    """Run until a file exists."""
    while not Path(path).exists():
        time.sleep(0.02)


@job
def talk() -> str:
    """Print, log and write to stderr."""
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger("behaviours").warning("to logging")
    log("to log")
    subprocess.run(["echo", "from a child"], check=True)
    return "ok"


@job
def who_am_i() -> dict[str, str | int | None]:
    """Return the facts about the current job."""
    current = current_job()
    assert current is not None
    return {"job_id": current.job_id, "user_id": current.user_id, "attempt": current.attempt}


@job
def die(times: int = 99) -> str:
    """Kill its own process, until the job was resumed `times` times."""
    current = current_job()
    assert current is not None
    if current.resumed < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"resumed {current.resumed}"


@job
def step_by_step(path: str, steps: int = 4, die_at: int = -1) -> list[int]:
    """Save each step in the checkpoint. Die once, at step `die_at`."""
    done: list[int] = checkpoint.get("done", [])
    for step in range(len(done), steps):
        if step == die_at and not Path(path).exists():
            Path(path).write_text("died")
            os.kill(os.getpid(), signal.SIGKILL)
        done = [*done, step]
        checkpoint["done"] = done
        progress(current=step + 1, total=steps)
    return done


@job
def return_too_much(size: int) -> str:
    """Return a long text."""
    return "x" * size


@job
def return_the_wrong_thing() -> int:
    """Return a value that the type hint does not allow."""
    return "seven"  # type: ignore[return-value]


@job
def eat_memory(megabytes: int = 400) -> None:
    """Allocate memory and keep it."""
    kept = bytearray(megabytes * 1_000_000)
    for place in range(0, len(kept), 4096):
        kept[place] = 1
    time.sleep(60)


@job
def note(path: str, text: str) -> None:
    """Append a line to a file."""
    with Path(path).open("a") as file:
        file.write(text + "\n")


@job
def write_pid_and_sleep(path: str, seconds: float) -> str:
    """Write this process's id to a file, and sleep."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(seconds)
    return "done"


@job(retry=Retry(max=1, delay=0.1, jitter=False))
def walk(path: str, rows: int, columns: int, stop_at: list[int], how: str = "raise") -> int:
    """Go through a table with two resumable loops and write down each field. Stop once in the middle."""
    current = current_job()
    assert current is not None
    notes = Path(path)
    for row in track(range(rows), "Rows", resume=True):
        for column in track(range(columns), resume=True):
            if [row, column] == stop_at and current.attempt + current.resumed == 1:
                if how == "raise":
                    raise ConnectionError("stopped")
                os.kill(os.getpid(), signal.SIGKILL)
            with notes.open("a") as file:
                file.write(f"{row},{column}\n")
    for last in track(range(3), "After", resume=True):
        with notes.open("a") as file:
            file.write(f"after {last}\n")
    return len(notes.read_text().splitlines())


@job
def kill_myself() -> None:
    """Die."""
    os.kill(os.getpid(), signal.SIGKILL)


@job
def note_pid_and_sleep(path: str, seconds: float) -> None:
    """Append this process's id to a file, and sleep."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)


@job
def close_everything(path: str) -> None:
    """Close every descriptor of this process, and continue."""
    note_pid_and_sleep(path, 0)
    os.closerange(3, 256)
    time.sleep(60)


@job
def fork_while_a_thread_logs() -> list[bool]:
    """Fork while another thread is logging.

    Return True if the child could log, and True if this thread is the main thread.
    """
    inside, over = threading.Event(), threading.Event()

    class Slow(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                over.wait()

    logger = logging.getLogger("slow")
    logger.addHandler(Slow())
    thread = threading.Thread(target=logger.warning, args=("a line",))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        logger.warning("another line")
        os._exit(0 if threading.active_count() == 1 else 2)
    _, status = os.waitpid(child, 0)
    over.set()
    thread.join()
    return [status == 0, threading.main_thread().native_id == os.getpid()]
