"""The HTTP response of a stream of Server-Sent Events, for programs and for pages."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request

from .stream_slots import take_slot

#: A comment: it keeps proxies from cutting a silent connection.
HEARTBEAT = b": still here\n\n"


def event_stream(events: Iterator[str] | Iterator[bytes]) -> Response:
    """Return a response that sends `events`. It holds one of this process's stream slots until it is closed.

    Raises:
        TooManyStreams: no slot is free.
    """
    give_back = take_slot()
    response = Response(events, content_type="text/event-stream; charset=utf-8")
    response.call_on_close(give_back)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would wait for more
    if request.method == "HEAD":
        response.response = []
    return response
