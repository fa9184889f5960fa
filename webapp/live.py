"""What every stream has in common: where it resumes, and when it ends although its job has not."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from flask import g, request
from pydantic import BaseModel, Field

from jobs.engine.accounts.user import User
from jobs.engine.errors import BrokerUnavailable, MalformedRequest, Unauthenticated
from jobs.engine.follow.inbox import Inbox
from jobs.engine.follow.message import Message

from .auth import credential_check
from .services import services
from .shutdown import shutdown

#: Silence after which something is sent, so that nothing on the way takes the connection for dead.
HEARTBEAT_SECONDS = 15.0
#: Silence after which it is seen whether the client is still there.
IDLE_SECONDS = 5.0
#: A revoked credential may go on for this long, and the five seconds that a look-up is remembered.
CHECK_SECONDS = 20.0
#: What the kernel may hold for a client that doesn't read: more would only be later to notice it.
SEND_BUFFER_BYTES = 65_536

_REVOKED = "The credential of this stream was revoked, or has expired."
_ID = re.compile(r"[0-9]{1,18}")

#: tcp_states.h of Linux.
_ESTABLISHED = 1


class WithTicket(BaseModel):
    """The query of a stream. `auth` reads the ticket."""

    ticket: Annotated[
        str | None, Field(description="From `POST /api/v1/tickets`, instead of a header or a cookie.")
    ] = None


@dataclass(frozen=True)
class Connection:
    """The client's socket, as gunicorn hands it over. Elsewhere there is none, and all of this does nothing."""

    socket: Any

    @classmethod
    def of_request(cls) -> Connection:
        connection = cls(request.environ.get("gunicorn.socket"))
        if connection.socket is not None:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return connection

    def cut(self) -> None:
        """Break it, also under somebody who is sending: nobody reads at its other end."""
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is broken already

    @property
    def gone(self) -> bool:
        """Whether the client has hung up. Asking the kernel costs less than a greenlet that waits for it."""
        if self.socket is None or not hasattr(socket, "TCP_INFO") or self.socket.family == socket.AF_UNIX:
            return False
        try:
            return bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)
        except OSError:
            return True


def last_event_id() -> int | None:
    """The id that the client saw last.

    Raises:
        MalformedRequest: if it is none of ours.
    """
    text = request.headers.get("Last-Event-ID", "").strip()
    if text and not _ID.fullmatch(text):
        raise MalformedRequest("Last-Event-ID is the id of an event of this stream: a whole number.")
    return int(text) if text else None


class Live:
    """Passes on what a follower is told, with a None when a heartbeat is due.

    It ends with the process's shutdown, with the client's hanging up, and with its credential.
    """

    def __init__(self, allowed: Callable[[User], bool]) -> None:
        """Made in the request: later it is over. `allowed` tells whether a user may still see this."""
        self.connection = Connection.of_request()
        self.inbox = Inbox(on_cut=self.connection.cut)
        self._allowed = allowed
        self._check = credential_check()
        self._ticket: str | None = g.get("ticket")
        self._tickets = services().accounts.tickets

    def follow(self, news: Iterator[Message | None]) -> Iterator[Message | None]:
        try:
            yield from self._passed_on(news)
        except BrokerUnavailable:
            pass  # while it read the current state: the client comes back with what it has

    def _passed_on(self, news: Iterator[Message | None]) -> Iterator[Message | None]:
        checked = sent = time.monotonic()
        for each in news:
            now = time.monotonic()
            if shutdown.begun or (each is None and self.connection.gone):
                return
            if now - checked > CHECK_SECONDS:
                try:
                    if not self._allowed(self._check()):
                        raise Unauthenticated
                    checked = now
                except BrokerUnavailable:
                    pass  # asked again with the next message
                except Unauthenticated:
                    yield Message("error", error={"job_id": None, "code": Unauthenticated.code, "detail": _REVOKED})
                    return
            if each is not None or now - sent > HEARTBEAT_SECONDS - IDLE_SECONDS / 2:
                sent = now
                yield each
                if each is not None and each.event == "complete":
                    self._completed()

    def _completed(self) -> None:
        if self._ticket is not None:
            try:
                self._tickets.close(self._ticket)
            except BrokerUnavailable:
                pass  # it runs out
