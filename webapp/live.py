"""Resume a stream, send its heartbeats, and end it when its client, its credential or the process is gone."""

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

#: Silence after which a heartbeat is sent, so that no proxy closes the connection.
HEARTBEAT_SECONDS = 15.0
#: Silence after which the client's connection is checked.
IDLE_SECONDS = 5.0
#: Time between two checks of the credential. A revoked one may be cached for five seconds more.
CHECK_SECONDS = 20.0
#: The kernel's buffer for a client that does not read. A larger one would delay noticing that.
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
    """The client's socket, from gunicorn. Other servers provide none, and then the methods do nothing."""

    socket: Any

    @classmethod
    def of_request(cls) -> Connection:
        connection = cls(request.environ.get("gunicorn.socket"))
        if connection.socket is not None:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return connection

    def cut(self) -> None:
        """Break the connection, even while a message is being sent: the client does not read."""
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is broken already

    @property
    def gone(self) -> bool:
        """Return True if the client has disconnected. Asking the kernel is cheaper than a greenlet that waits."""
        if self.socket is None or not hasattr(socket, "TCP_INFO") or self.socket.family == socket.AF_UNIX:
            return False
        try:
            return bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)
        except OSError:
            return True


def last_event_id() -> int | None:
    """Return the id of the last event that the client received.

    Raises:
        MalformedRequest: it is not an id of a stream.
    """
    text = request.headers.get("Last-Event-ID", "").strip()
    if text and not _ID.fullmatch(text):
        raise MalformedRequest("Last-Event-ID must be the id of an event of this stream, a whole number.")
    return int(text) if text else None


class Live:
    """Passes on a follower's messages, with a None when a heartbeat is due.

    It ends when the process shuts down, the client disconnects, or the credential stops being valid.
    """

    def __init__(self, allowed: Callable[[User], bool]) -> None:
        """Create it during the request, which ends before the stream. `allowed` decides if a user may still see it."""
        self.connection = Connection.of_request()
        self.inbox = Inbox(on_cut=self.connection.cut)
        self._allowed = allowed
        self._check = credential_check()
        self._ticket: str | None = g.get("ticket")
        self._tickets = services().accounts.tickets

    def follow(self, messages: Iterator[Message | None]) -> Iterator[Message | None]:
        try:
            yield from self._forwarded(messages)
        except BrokerUnavailable:
            pass  # while reading the current state: the client reconnects with its last id

    def _forwarded(self, messages: Iterator[Message | None]) -> Iterator[Message | None]:
        checked = sent = time.monotonic()
        for each in messages:
            now = time.monotonic()
            if shutdown.begun or (each is None and self.connection.gone):
                return
            if now - checked > CHECK_SECONDS:
                try:
                    if not self._allowed(self._check()):
                        raise Unauthenticated
                    checked = now
                except BrokerUnavailable:
                    pass  # checked again with the next message
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
                pass  # the ticket expires
