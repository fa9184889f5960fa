"""Jobs whose processes serve several attempts, and which change or leave something there."""

from __future__ import annotations

import ctypes
import decimal
import faulthandler
import gc
import locale
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.engine import (
    Retry,
    SavedFile,
    checkpoint,
    current_job,
    job,
    log,
    own_jobs,
    progress,
    read_blob,
    save_file,
    track,
    user_document,
    user_path,
    write_blob,
)

#: What a function left in this module: it is shared.
kept: list[Any] = []


@job(reuse=3)
def count_in_one_process() -> list[int]:
    """Return the process id, and how often it was called in this process."""
    kept.append(0)
    return [os.getpid(), len(kept)]


@job(reuse=1)
def count_in_its_own_process() -> list[int]:
    """Do the same in a process of its own."""
    return count_in_one_process()


@job(reuse=100, preload=("tests.jobs_for_tests.modules.heavy",))
def count_beside_heavy_module() -> list[Any]:
    """Return the process id, its parent's, and True if the module was loaded before the call."""
    return [os.getpid(), os.getppid(), "tests.jobs_for_tests.modules.heavy" in sys.modules]


class _Loud:
    """An object in a cycle that prints when it is collected."""

    def __init__(self, text: str) -> None:
        self.myself = self
        self.text = text

    def __del__(self) -> None:
        print(f"late line {self.text}")
        logging.getLogger("loud").warning("late record %s", self.text)
        log(f"late log line {self.text}")


def _fork_a_child() -> None:
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)


def _fork_an_orphan() -> None:
    if (child := os.fork()) == 0:
        _fork_a_child()
        os._exit(0)
    os.waitpid(child, 0)


def _leave_a_dead_child() -> None:
    if os.fork() == 0:
        os._exit(0)


def _start_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), name="sleeper", daemon=True).start()


def _print_later() -> None:
    def speak() -> None:
        for number in range(200):
            print(f"late {number}")
            log(f"late {number}")
            progress(99, "late")
            time.sleep(0.005)

    threading.Thread(target=speak, name="speaker", daemon=True).start()


def _fill_memory() -> None:
    kept.append(b"x" * 100_000_000)


def _redirect_stdout() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _change_the_time_zone() -> None:
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    del os.environ["TZ"]


def _on_signal(*_arguments: object) -> None:
    return None


#: By the name of what is left: the action.
ACTIONS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "child": _fork_a_child,
    "orphan": _fork_an_orphan,
    "dead child": _leave_a_dead_child,
    "program": lambda: kept.append(subprocess.Popen(["sleep", "600"], start_new_session=True)),
    "thread": _start_a_thread,
    "library's thread": lambda: faulthandler.dump_traceback_later(600, file=2),
    "late output": _print_later,
    "working directory": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o007),
    "environment": lambda: os.environ.__setitem__("REUSED_SECRET", "hush-hush"),
    "C environment": lambda: os.putenv("REUSED_SECRET", "hush-hush"),
    "removed variable": lambda: os.environ.pop("PATH"),
    "signal handler": lambda: signal.signal(signal.SIGUSR1, _on_signal),
    "engine's handler": lambda: signal.signal(signal.SIGUSR2, _on_signal),
    # Not SIGHUP: it is ignored already if the tests run under nohup.
    "ignored signal": lambda: signal.signal(signal.SIGWINCH, signal.SIG_IGN),
    "blocked signal": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]),
    "timer": lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 600),
    "resource limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512)),
    "nice value": lambda: os.nice(1),
    "CPUs": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "process group": lambda: os.setpgid(0, os.getpgid(os.getppid())),
    "file": lambda: os.open(os.devnull, os.O_RDONLY),
    "socket": lambda: kept.append(socket.socket()),
    "pipe": os.pipe,
    "redirected stdout": _redirect_stdout,
    "sys.stdout": lambda: setattr(sys, "stdout", sys.stderr),
    "root logger": lambda: logging.getLogger().setLevel(logging.CRITICAL),
    "logging.disable": lambda: logging.disable(logging.CRITICAL),
    "handler of the root logger": lambda: logging.getLogger().handlers[0].setLevel(logging.CRITICAL),
    "trace function": lambda: sys.settrace(lambda *_arguments: None),
    "garbage collector": gc.disable,
    "time zone": _change_the_time_zone,
    "recursion limit": lambda: sys.setrecursionlimit(5_000),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "memory": _fill_memory,
}


@job(reuse=100, timeout=20)
def tamper(how: str = "nothing") -> dict[str, Any]:
    """Return what this process is like, and then leave something in it."""
    found = {
        "pid": os.getpid(),
        "directory": str(Path.cwd()),
        "umask": f"{_umask():o}",
        "secret": "REUSED_SECRET" in os.environ or b"REUSED_SECRET" in subprocess.check_output(["env"]),
        "path": "PATH" in os.environ,
        "USR1": str(signal.getsignal(signal.SIGUSR1)),
        "WINCH": str(signal.getsignal(signal.SIGWINCH)),
        "USR2": "Interruptions" in str(signal.getsignal(signal.SIGUSR2)),
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timer": signal.getitimer(signal.ITIMER_VIRTUAL)[0],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "nice": os.nice(0),
        "CPUs": len(os.sched_getaffinity(0)),
        "descriptors": len([*Path("/proc/self/fd").iterdir()]),
        "threads": len([*Path("/proc/self/task").iterdir()]),
        "level": logging.getLogger().level,
        "disabled": logging.root.manager.disable,
        "recursion": sys.getrecursionlimit(),
        "locale": locale.setlocale(locale.LC_ALL),
        "kept": len(kept),
    }
    print("said")
    logging.getLogger("tamper").warning("logged")
    ACTIONS[how]()
    return found


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


@job(reuse=100, timeout=20)
def speak(text: str, how: str = "print") -> list[Any]:
    """Print a text, in a way that may be late. Return the process id and what the attempt started with."""
    current = current_job()
    assert current is not None
    before = [os.getpid(), current.job_id, dict(checkpoint), decimal.getcontext().prec]
    checkpoint["text"] = text
    decimal.getcontext().prec = 5
    progress(message=text)
    log(f"log {text}")
    if how == "print":
        print(f"print {text}", end="")
    elif how == "C":
        ctypes.CDLL(None).printf(b"C %s", text.encode())
    elif how == "first stdout":
        assert sys.__stdout__
        sys.__stdout__.write(f"raw {text}")
    elif how == "cycle":
        gc.disable()
        _Loud(text)
        gc.enable()
    return before


@job(reuse=100, timeout=20)
def go_on_with_a_loop(text: str) -> int:
    """Go on with the loop that the first attempt in this process began. Return the process id."""
    progress(10, text)
    if not kept:
        kept.append(track(range(1_000), "of the first attempt"))
    for _ in range(3):
        next(kept[0])
        time.sleep(0.25)
    return os.getpid()


@job(reuse=100, timeout=1, stall_timeout=0.7, retry=Retry(max=1, delay=0.1, jitter=False))
def end_somehow(how: str) -> int:
    """End in one of many ways. Return the process id."""
    current = current_job()
    assert current is not None
    if current.attempt + current.resumed > 1:
        return os.getpid()
    if how == "fail":
        raise ValueError("as planned")
    if how == "exit":
        sys.exit(1)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "swallow the timeout":
        try:
            _work(1.5)
        except TimeoutError:
            pass
    if how == "time out":
        _work(60)
    if how == "stall":
        time.sleep(60)
    if how == "eat memory":
        kept.append(b"x" * 600_000_000)
        time.sleep(60)
    return os.getpid()


def _work(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        progress(message=str(time.monotonic()))
        time.sleep(0.02)


@job(reuse=100, timeout=60)
def wait_to_be_ended(path: str = "", seconds: float = 60, ignores_cancel: bool = False) -> int:
    """Write the process id to a file, and wait. Return the process id."""
    if path:
        Path(path).write_text(str(os.getpid()))
    if ignores_cancel:
        time.sleep(seconds)
        return os.getpid()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        progress()
        time.sleep(0.02)
    return os.getpid()


@job(reuse=100, retry=Retry(max=1, delay=0.1, jitter=False))
def count_to(number: int, fail_at: int = -1) -> list[int]:
    """Count in a resumable loop. Return the process id and the numbers that this attempt saw."""
    seen = []
    current = current_job()
    assert current is not None
    for each in track(range(number), "Counting", resume=True):
        if each == fail_at and current.attempt == 1:
            raise ConnectionError("as planned")
        seen.append(each)
    return [os.getpid(), *seen]


@job(reuse=100, timeout=60)
def eat(megabytes: int, keep: bool = False) -> int:
    """Use memory for longer than it takes until it is checked. Return the process id."""
    eaten = b"x" * (megabytes * 1_000_000)
    if keep:
        kept.append(eaten)
    time.sleep(1.5)
    return os.getpid()


@job(reuse=100)
def use_the_storage(text: str) -> tuple[int, SavedFile]:
    """Use everything that connects to the broker or the storage. Return the process id and a file."""
    write_blob(user_path("blob"), text.encode())
    assert read_blob(user_path("blob")) == text.encode()
    with user_document("reused") as document:
        document[text] = True
    assert next(own_jobs(1)).job_type == "use-the-storage"
    return os.getpid(), save_file(text.encode(), f"{text}.txt")
