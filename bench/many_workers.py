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
READ_BYTES = 65_536


class _Recorder(redis.Redis):
    """A client that keeps the last command instead of sending it."""

    sent: tuple[Any, ...] = ()

    def execute_command(self, *arguments: Any, **_options: Any) -> Any:
        self.sent = arguments
        return [b"lost", [b"empty"]]


def packed_step(worker: str) -> bytes:
    """Return the command with which a worker finishes a job and claims the next one, packed with placeholders."""
    recorder = _Recorder()
    WorkerSteps(recorder).finish_and_claim(JOB, EXECUTION, worker, OUTCOME, claim_next=NEXT, queues=QUEUES)
    return bytes(pack_command(recorder.sent))


class _Worker:
    def __init__(self, path: Path, database: int, number: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(str(path))
        self._reader = ReplyReader()
        self._socket.sendall(b"SELECT %d\r\n" % database)
        if (reply := self._reply()) != b"OK":
            raise NotMeasured(f"selected a database: {reply!r}")
        packed = packed_step(f"bench-{number}")
        self._start, packed = packed.split(JOB.encode())
        self._before_execution, packed = packed.split(EXECUTION.encode())
        self._before_next, self._end = packed.split(NEXT.encode())
        self._number, self._steps = number, 0
        #: The job that it holds. Before its first claim, a finish of this job that nobody holds is refused.
        self._job, self._execution = JOB.encode(), EXECUTION.encode()
        self.done = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self) -> None:
        """Finish the job, and claim the next one."""
        self._steps += 1
        following = b"%08x%024x" % (self._number, self._steps)
        parts = (self._start, self._job, self._before_execution, self._execution)
        self._socket.sendall(b"".join((*parts, self._before_next, following, self._end)))
        self._execution = following

    def receive(self) -> bool:
        """Read the reply. Return False if no job was left to claim."""
        ended, claimed = self._reply()
        if ended == b"completed":
            self.done += 1
        elif self._job != JOB.encode():
            raise NotMeasured(f"finished as {ended}")
        if claimed[0] == b"claimed":
            self._job = claimed[2]
        return bool(claimed[0] == b"claimed")

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(READ_BYTES))
        if isinstance(reply, ReplyError):
            raise NotMeasured(f"the broker replied: {reply}")
        return reply


def work(path: Path, database: int, number: int) -> int:
    """Claim and finish jobs of a database behind a socket with `number` workers, until its queues are empty.

    Returns:
        How many were finished.
    """
    workers = [_Worker(path, database, each) for each in range(number)]
    by_descriptor = {worker.fileno(): worker for worker in workers}
    try:
        with select.epoll() as poll:
            for descriptor in by_descriptor:
                poll.register(descriptor, select.EPOLLIN)
            for worker in workers:
                worker.send()
            busy = len(workers)
            while busy:
                for descriptor, _event in poll.poll():
                    if by_descriptor[descriptor].receive():
                        by_descriptor[descriptor].send()
                    else:
                        busy -= 1
    finally:
        for worker in workers:
            worker.close()
    return sum(worker.done for worker in workers)
