"""The CPU time and the memory of processes, as Linux counts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import psutil

from .workbench import NotMeasured, tree


@dataclass(frozen=True)
class CpuTime:
    """The CPU time of a process, in seconds since its start."""

    #: The number of its ancestors below the root of its system.
    depth: int
    own: float
    #: That of ended children which it has waited for, and of theirs.
    waited: float


def by_role(times: Iterable[CpuTime], roles: Sequence[str]) -> dict[str, float]:
    """Add up CPU times. The role at place 0 is that of the root, the next that of its children; the last has the rest.

    The time of a process that has ended belongs to its own role, and not to that of the process that waited for it.
    """
    total: defaultdict[str, float] = defaultdict(float)
    for each in times:
        total[roles[min(each.depth, len(roles) - 1)]] += each.own
        total[roles[min(each.depth + 1, len(roles) - 1)]] += each.waited
    return dict(total)


def cpu_times(pid: int) -> Iterator[CpuTime]:
    """Read the CPU times of a process and its descendants."""
    yield from _cpu_times(psutil.Process(pid), 0)


def _cpu_times(process: psutil.Process, depth: int) -> Iterator[CpuTime]:
    try:
        times, children = process.cpu_times(), process.children()
    except psutil.NoSuchProcess:
        return  # it has ended, and its parent's times include it
    yield CpuTime(depth, times.user + times.system, times.children_user + times.children_system)
    for child in children:
        yield from _cpu_times(child, depth + 1)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, its descendants, and those that have ended."""
    return sum(each.own + each.waited for each in cpu_times(pid))


def pss_mebibytes(pids: Iterable[int]) -> float:
    """Return the memory of some processes and all their descendants. A shared page counts once (PSS)."""
    return sum(_pss(process) for pid in pids for process in tree(pid)) / 2**20


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


def descendant(pid: int, word: str) -> int:
    """Return the first descendant of a process whose command line has an argument that ends with `word`.

    Raises:
        NotMeasured: there is none.
    """
    for process in tree(pid):
        try:
            if any(argument.endswith(word) for argument in process.cmdline()):
                return process.pid
        except psutil.NoSuchProcess:
            continue
    raise NotMeasured(f"process {pid} has started no {word}")
