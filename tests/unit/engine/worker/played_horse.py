"""A work horse that a test plays, at the other end of its channel and pipes."""

from __future__ import annotations

import os
import socket

from jobs.engine.worker.horse_handle import Horse


class PlayedHorse:
    def __init__(self, pid: int, *, jobs: int = 0) -> None:
        worker_end, self.channel = socket.socketpair()
        worker_end.setblocking(False)
        stdout, self.stdout = os.pipe()
        stderr, self.stderr = os.pipe()
        for pipe in (stdout, stderr):
            os.set_blocking(pipe, False)
        self.horse = Horse(pid, worker_end, stdout, stderr, jobs=jobs)

    def close(self) -> None:
        self.horse.close()
        self.channel.close()
        os.close(self.stdout)
        os.close(self.stderr)
