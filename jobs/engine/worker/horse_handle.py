"""A work horse as its worker sees it: the process, its channel, and the read ends of what it prints."""

from __future__ import annotations

import json
import os
import select
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.processes import kill_family

from .horse import CANCEL_SIGNAL
from .verdict import Verdict

_CHUNK_BYTES = 262_144


@dataclass
class Horse:
    pid: int
    channel: socket.socket
    stdout: int
    stderr: int
    #: The wait status, once the zygote has reported it.
    status: int | None = None
    #: It has no job.
    idle: bool = True
    #: Jobs that it was given.
    jobs: int = 0
    #: It was asked to stop. The signal may arrive at any time.
    asked_to_stop: bool = False
    #: Its verdict on itself after its last attempt.
    verdict: Verdict | None = None
    #: Memory that it holds because of its earlier attempts.
    carried_bytes: int = 0
    _poll: select.poll = field(default_factory=select.poll)
    #: Chunks of a message whose end has not come yet.
    _inbox: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        for descriptor in (self.channel.fileno(), self.stdout, self.stderr):
            self._poll.register(descriptor, select.POLLIN)

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message. Return False if the horse is dead, which its worker also notices by the closed channel."""
        data = json.dumps(message).encode() + b"\n"
        try:
            sent = self.channel.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        return sent == len(data) or self._send_slowly(data[sent:])

    def _send_slowly(self, data: bytes) -> bool:
        """Send more than the channel can hold at once."""
        self.channel.setblocking(True)
        try:
            self.channel.sendall(data)
        except OSError:
            return False
        finally:
            self.channel.setblocking(False)
        return True

    def readable(self, seconds: float) -> set[int]:
        """Wait until the channel or a pipe can be read, and return all that can be.

        The channel is looked at first: what the horse has printed before a message is readable when the message is.
        """
        return {descriptor for descriptor, _event in self._poll.poll(seconds * 1000)}

    def ignore_pipe(self, pipe: int) -> None:
        """Watch a pipe no longer: nothing can be printed there."""
        self._poll.unregister(pipe)

    def receive(self) -> list[bytes] | None:
        """Return the messages that are complete now, or None if the horse has closed its end.

        Raises:
            BlockingIOError: it has sent nothing.
        """
        try:
            data = self.channel.recv(_CHUNK_BYTES)
        except ConnectionError:
            return None
        return self._whole_lines(data) if data else None

    def _whole_lines(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes. No byte is searched twice, however long a line is."""
        first, *others = data.split(b"\n")
        self._inbox.append(first)
        if not others:
            return []
        *between, rest = others
        lines = [b"".join(self._inbox), *between]
        self._inbox = [rest]
        return [line for line in lines if line]

    def ask_to_stop(self) -> None:
        self.asked_to_stop = True
        with suppress(ProcessLookupError):
            os.kill(self.pid, CANCEL_SIGNAL)

    def kill(self) -> None:
        """End the process and everything it started."""
        if self.status is None:
            kill_family(self.pid)

    def close(self) -> None:
        self.channel.close()
        os.close(self.stdout)
        os.close(self.stderr)
