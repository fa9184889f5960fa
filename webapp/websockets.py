"""Follow one job over a WebSocket, with the same messages as its event stream, and cancel it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Lock, Thread
from typing import Any

from flask import Blueprint, Response, g, request
from flask.blueprints import BlueprintSetupState
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server
from wsproto.utilities import RemoteProtocolError

from jobs.engine.errors import JobEnded, MalformedRequest, WorkhorseError
from jobs.engine.follow.message import Message

from .forgery import refuse_foreign_origin
from .live import HEARTBEAT_SECONDS, IDLE_SECONDS, Live, WithTicket, last_event_id
from .openapi.describing import described
from .openapi.operation import empty_response
from .ownership import visible_job
from .problems import of_error
from .query import query
from .rate_limit import admit
from .services import services
from .stream_slots import take_slot

blueprint = Blueprint("websockets", __name__, url_prefix="/api/v1")
_sock = Sock()

#: Messages of clients are short.
MAX_MESSAGE_BYTES = 4_096
#: The reasons for closing (RFC 6455, 7.4.1).
DONE, GOING_AWAY, POLICY = 1000, 1001, 1008


class WholeFrames:
    """A socket that sends a frame completely or fails, one frame at a time.

    simple_websocket (1.1.0, ws.py) ignores partial sends, and a follower, a reply and a ping may send at the same time.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._sending = Lock()

    def send(self, data: bytes) -> int:
        with self._sending:
            self._socket.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@blueprint.record_once
def _configure(state: BlueprintSetupState) -> None:
    state.app.config["SOCK_SERVER_OPTIONS"] = {
        "ping_interval": HEARTBEAT_SECONDS,
        "max_message_size": MAX_MESSAGE_BYTES,
    }


@blueprint.before_request
def _before_the_handshake() -> None:
    """Refuse the request while it is still HTTP. Browsers let any page open a WebSocket, so check the origin."""
    refuse_foreign_origin()
    g.job = visible_job((request.view_args or {})["job_id"])
    query(WithTicket)
    g.after = last_event_id()
    admit()
    g.live = Live(lambda user, owner=g.job.user_id: user.is_admin or user.user_id == owner)  # type: ignore[misc]
    g.give_back = take_slot()
    if "gunicorn.socket" in request.environ:
        request.environ["gunicorn.socket"] = WholeFrames(request.environ["gunicorn.socket"])
    # Compression would use a quarter of a megabyte for each connection.
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)


@blueprint.errorhandler(RemoteProtocolError)
def _no_handshake(_error: RemoteProtocolError) -> Response:
    """Refuse a request that does not open a WebSocket, or uses another version than 13 (RFC 6455, 4.4)."""
    response = of_error(MalformedRequest("This is not a WebSocket handshake of version 13."))
    response.headers["Sec-WebSocket-Version"] = "13"
    return response


@blueprint.teardown_request
def _after(_error: BaseException | None) -> None:
    if "give_back" in g:
        g.give_back()


@_sock.route("/jobs/<job_id>/ws", bp=blueprint, endpoint="follow")  # type: ignore[untyped-decorator]  # no types
@described(
    "open-websocket",
    "Live",
    "Follow a job over a WebSocket",
    {"101": empty_response('The messages of its stream, as JSON: `{"event": "update", "job": {…}}`.')},
    description='Send `{"action": "cancel"}` to cancel the job. Pages of other origins are refused.',
    query=WithTicket,
    refused=(400, 403, 404),
)
def follow(connection: Server, job_id: str) -> None:
    live: Live = g.live
    Thread(target=_listen, args=(connection, live, services().client, job_id), daemon=True).start()
    messages = services().follower.follow_job(job_id, g.after, live.inbox, idle_seconds=IDLE_SECONDS)
    reason = GOING_AWAY
    try:
        for each in live.follow(messages):
            for text in _texts(each):
                connection.send(text)
            if each is not None and each.event in ("complete", "error"):
                reason = DONE if each.event == "complete" else POLICY
                break
        connection.close(reason)
    except (ConnectionClosed, OSError):
        pass  # the client has disconnected
    finally:
        live.inbox.end()


def _texts(message: Message | None) -> Iterator[str]:
    if message is None:
        return
    if message.job is not None:
        yield f'{{"event": "{message.event}", "job": {message.resource}}}'
    else:
        yield json.dumps({"event": message.event, **(message.error or {})})


def _listen(connection: Server, live: Live, client: Any, job_id: str) -> None:
    """Execute the client's messages until it disconnects."""
    try:
        while True:
            _execute(connection, client, job_id, connection.receive())
    except (ConnectionClosed, OSError):
        live.inbox.end()


def _execute(connection: Server, client: Any, job_id: str, message: str | bytes | None) -> None:
    try:
        wanted = json.loads(message or "null")
    except (ValueError, RecursionError):
        wanted = None
    if wanted != {"action": "cancel"}:
        detail = 'The only valid message is {"action": "cancel"}.'
        connection.send(json.dumps({"event": "error", "code": "invalid_request", "detail": detail}))
        return
    try:
        client.cancel(job_id)
    except JobEnded:
        pass  # the stream reports the end
    except WorkhorseError as error:
        connection.send(json.dumps({"event": "error", "code": error.code, "detail": error.message}))
