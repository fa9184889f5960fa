"""Serve thousands of attempts in one reused process, and watch the memory and descriptors of all processes.

    python -m bench.reuse_soak [--attempts 9999]

Each attempt prints, logs, reports progress, saves a checkpoint, and uses a file and some memory. The exit code is 1 if
the process was retired, or if a process has grown since the first tenth of the attempts.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from functools import partial

import psutil

from jobs.engine.author.decorator import MAX_REUSE
from jobs.engine.client.client import Client
from jobs.engine.client.submission import Submission

from .workbench import FULL, USER, Workbench, tree, until

#: After one more, the process has served as many as the job type allows, and ends.
MAX_ATTEMPTS = MAX_REUSE - 1
#: Attempts that wait in the queue at the same time.
WAITING = 100
#: Measurements, evenly spaced.
LOOKS = 10
#: The growth that counts as none, of a process's memory between the first look and the last.
MAX_GROWTH_KILOBYTES = 1_024


@dataclass(frozen=True)
class Look:
    kilobytes: int
    descriptors: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=MAX_ATTEMPTS)
    attempts = parser.parse_args().attempts
    horses: set[int] = set()
    looks: list[dict[str, Look]] = []
    with Workbench(FULL) as bench:
        client = bench.client()
        with bench.workers() as started:
            began = time.perf_counter()
            for turn in range(LOOKS):
                horses |= run(client, bench, attempts * turn // LOOKS, attempts * (turn + 1) // LOOKS)
                if len(horses) > 1:
                    print("\n".join(line for line in started.output().splitlines() if "retired work horse" in line))
                    return 1
                looks.append(look(started.pid, *horses))
            seconds = time.perf_counter() - began
    print(f"{attempts:,} attempts in one process, {attempts / seconds:,.0f} a second\n")
    return report(looks)


def run(client: Client, bench: Workbench, first: int, end: int) -> set[int]:
    """Run the attempts, and return the ids of their processes."""
    job_type = bench.catalogue.find("soak")
    pids: set[int] = set()
    for start in range(first, end, WAITING):
        numbers = range(start, min(start + WAITING, end))
        job_ids = [client.submit(Submission(job_type, {"number": each}, USER)).job.job_id for each in numbers]
        until(partial(has_ended, client, job_ids[-1]), "the end of the attempts", pause=0.01)
        pids |= {int(client.find(job_id).result) for job_id in job_ids}
    return pids


def has_ended(client: Client, job_id: str) -> bool:
    return client.find(job_id).status.terminal


def look(supervisor: int, horse: int) -> dict[str, Look]:
    """Return the memory and the open descriptors of each process."""
    _, *others = tree(supervisor)
    worker = next(each for each in others if each.ppid() == supervisor and each.children())
    names = {supervisor: "supervisor", worker.pid: "worker", worker.children()[0].pid: "zygote", horse: "work horse"}
    names |= {each.pid: "scheduler" for each in others if each.ppid() == supervisor and each is not worker}
    return {name: _look(psutil.Process(pid)) for pid, name in names.items()}


def _look(process: psutil.Process) -> Look:
    return Look(process.memory_info().rss >> 10, process.num_fds())


def report(looks: list[dict[str, Look]]) -> bool:
    """Print a table. Return True if a process has grown."""
    first, last = looks[0], looks[-1]
    grown = False
    print("| process | resident memory in KiB, after each tenth of the attempts | descriptors |\n|---|---|---|")
    for name in first:
        memory = " ".join(f"{each[name].kilobytes:,}" for each in looks)
        print(f"| {name} | {memory} | {' '.join(str(each[name].descriptors) for each in looks)} |")
        grown |= last[name].kilobytes - first[name].kilobytes > MAX_GROWTH_KILOBYTES
        grown |= last[name].descriptors > first[name].descriptors
    print("\nA process has grown." if grown else "\nNo process has grown.")
    return grown


if __name__ == "__main__":
    sys.exit(main())
