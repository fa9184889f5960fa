"""Many workers in one process, which claim and finish jobs in the steps of real workers, but run nothing.

Each has a connection and one step under way. What they send is packed once, with the arguments that a real worker would
send, so that they take little of the machine from the broker.
"""

from __future__ import annotations

import select
import socket
from pathlib import Path
from typing import Any

import redis
from hiredis import Reader as ReplyReader
from hiredis import ReplyError, pack_command

from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.worker_steps import WorkerSteps

from .workbench import PATIENCE_SECONDS, NotMeasured

QUEUES = ("high", "default", "low")
OUTCOME = Outcome(OutcomeKind.COMPLETED, result="bnVsbA==")
#: They stand for a job and two executions in a packed command, so they have the length of real ones.
JOB, EXECUTION, NEXT = "j" * 32, "e" * 32, "n" * 32
#: Stands for the job of a worker that holds none.
NO_JOB = JOB.encode()
READ_BYTES = 65_536


class _Recorder(redis.Redis):
    """A client that keeps the last command instead of sending it."""

    sent: tuple[Any, ...] = ()
    #: The reply to every command: that of a step which has ended nothing, and has found nothing to claim.
    reply: Any = (b"lost", (b"empty",))

    def execute_command(self, *arguments: Any, **_options: Any) -> Any:
        self.sent = arguments
        return self.reply


def packed_step(worker: str) -> bytes:
    """Return the command with which a worker finishes a job and claims the next one, packed with placeholders."""
    recorder = _Recorder()
    WorkerSteps(recorder).finish_and_claim(JOB, EXECUTION, worker, OUTCOME, claim_next=NEXT, queues=QUEUES)
    return bytes(pack_command(recorder.sent))


def packed_last_step(worker: str) -> bytes:
    """Return the command with which a worker finishes its last job, packed with placeholders."""
    recorder = _Recorder()
    recorder.reply = b"lost"
    WorkerSteps(recorder).finish(JOB, EXECUTION, worker, OUTCOME)
    return bytes(pack_command(recorder.sent))


def _split(packed: bytes, *placeholders: str) -> list[bytes]:
    """Return what is before, between and after the placeholders."""
    parts = []
    for placeholder in placeholders:
        part, packed = packed.split(placeholder.encode())
        parts.append(part)
    return [*parts, packed]


class _Worker:
    def __init__(self, path: Path, database: int, number: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(str(path))
        self._reader = ReplyReader()
        self._socket.sendall(b"SELECT %d\r\n" % database)
        if (reply := self._reply()) != b"OK":
            raise NotMeasured(f"selected a database: {reply!r}")
        self._step = _split(packed_step(f"bench-{number}"), JOB, EXECUTION, NEXT)
        self._last_step = _split(packed_last_step(f"bench-{number}"), JOB, EXECUTION)
        self._number, self._steps = number, 0
        #: The job that it holds. Before its first claim, a finish of a job that nobody holds is refused.
        self._job, self._execution = NO_JOB, EXECUTION.encode()
        self.done = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self) -> None:
        """Finish the job, and claim the next one."""
        self._steps += 1
        following = b"%08x%024x" % (self._number, self._steps)
        start, before_execution, before_next, end = self._step
        parts = (start, self._job, before_execution, self._execution, before_next, following, end)
        self._socket.sendall(b"".join(parts))
        self._execution = following

    def receive(self) -> bool:
        """Read the reply. Return False if no job was left to claim."""
        ended, claimed = self._reply()
        self._count(ended)
        self._job = claimed[2] if claimed[0] == b"claimed" else NO_JOB
        return self._job != NO_JOB

    def finish(self) -> None:
        """Finish the job, if it holds one."""
        if self._job == NO_JOB:
            return
        start, before_execution, end = self._last_step
        self._socket.sendall(b"".join((start, self._job, before_execution, self._execution, end)))
        self._count(self._reply())

    def _count(self, ended: bytes) -> None:
        if ended == b"completed":
            self.done += 1
        elif self._job != NO_JOB:
            raise NotMeasured(f"finished as {ended!r}")

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(READ_BYTES))
        if isinstance(reply, ReplyError):
            raise NotMeasured(f"the broker replied: {reply}")
        return reply


def work(path: Path, database: int, number: int, jobs: int) -> int:
    """Claim and finish jobs of a database behind a socket with `number` workers.

    They end when they have claimed `jobs`, or when the queues are empty.

    Returns:
        How many were finished.
    """
    workers = [_Worker(path, database, each) for each in range(min(number, jobs))]
    by_descriptor = {worker.fileno(): worker for worker in workers}
    try:
        with select.epoll() as poll:
            for descriptor in by_descriptor:
                poll.register(descriptor, select.EPOLLIN)
            for worker in workers:
                worker.send()
            busy, left = len(workers), jobs - len(workers)
            while busy:
                for descriptor, _event in poll.poll():
                    worker = by_descriptor[descriptor]
                    if worker.receive() and left > 0:
                        worker.send()
                        left -= 1
                    else:
                        busy -= 1
        for worker in workers:
            worker.finish()
    finally:
        for worker in workers:
            worker.close()
    return sum(worker.done for worker in workers)
