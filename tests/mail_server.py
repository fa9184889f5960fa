"""A mail server for tests, on loopback."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.loopback import free_port


class MailServer(Controller):
    """A mail server in a thread, on a port of its own. Its connections end with it.

    aiosmtpd 1.4.6 stops its event loop while connections are still being accepted (`BaseThreadedController.stop`), and
    leaves their sockets to the garbage collector, which warns of them in the middle of another test.
    """

    def __init__(self, handler: Any, *, port: int | None = None, **options: Any) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=port or free_port(), ready_timeout=60, **options)
        self._connections: list[SMTP] = []

    def factory(self) -> SMTP:
        connection: SMTP = super().factory()
        self._connections.append(connection)
        return connection

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(timeout=60)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        # The server is closed after this: a connection that it has just accepted still needs it (CPython 3.11,
        # `_accept_connection2`), and gets its transport later, in a task of the event loop.
        for listener in cast("asyncio.Server", self.server).sockets:
            self.loop.remove_reader(listener.fileno())
        while self._transports() or len(asyncio.all_tasks()) > 1:
            for transport in self._transports():
                transport.abort()
            await asyncio.sleep(0)
        self._connections.clear()

    def _transports(self) -> list[asyncio.Transport]:
        return [cast("asyncio.Transport", each.transport) for each in self._connections if each.transport]
