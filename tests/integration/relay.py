"""A relay between a process and its broker that can stop passing data on, like a broken network."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 65_536


class Relay:
    """Listens on its own socket. While it is frozen, connections stay open and no data passes."""

    def __init__(self, path: Path, target: Path) -> None:
        self.url = f"unix://{path}"
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._delay = threading.Event()
        self.delay_seconds = 0.0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._flowing.clear()

    def heal(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        self._flowing.set()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _address = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._target))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                self._flowing.wait()
                if self.delay_seconds:
                    self._delay.wait(self.delay_seconds)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
