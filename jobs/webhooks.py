"""Messages to other people's servers about what happened here, signed as Standard Webhooks has it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import httpx2
from pydantic import Field
from standardwebhooks import Webhook

from jobs.engine import Fatal, PublicUrl, Retry, RetryLater, checkpoint, current_job, http_client, job
from jobs.engine.webhooks.sender import Sender, sender

#: One try, from the look-up of the name to the status line; the body of the answer is not read at all.
TRY_SECONDS = 15.0
#: A message that nobody took for so long is given up.
DAY_SECONDS = 86_400.0

SUCCESS, GONE = range(200, 300), 410
#: With Retry-After, these say when to come back.
BUSY = frozenset({429, 503})


class NotDelivered(Exception):
    """The receiver could not be reached, was too slow, or did not say that it has the message."""


@dataclass(frozen=True)
class Delivered:
    """What the receiver said."""

    #: From 200 to 299.
    status: int
    message_id: str


#: 2 s, 4 s, 8 s … then every hour, less the jitter of a quarter on average: a day in all.
_FOR_A_DAY = Retry(max=42, delay=2, max_delay=3600, on=(NotDelivered,))


@job(priority="low", timeout=60, retry=_FOR_A_DAY)
def deliver_webhook(
    url: PublicUrl,
    payload: dict[str, Any],
    webhook_id: Annotated[str, Field(max_length=64)] | None = None,
) -> Delivered:
    """Send a message to a URL, signed with your webhook secret.

    It is tried again for a day, with growing pauses, until the receiver answers 2xx. 429 and 503 with Retry-After are
    honoured, 410 ends the subscription `webhook_id`, and redirects are not followed. The message's id is the same at
    each try, so that a receiver that got it twice can tell.
    """
    origin = sender()
    if webhook_id is not None and not origin.still_wants(webhook_id):
        raise Fatal("The subscription has ended, so the message was not sent.")
    current = current_job()
    assert current is not None, "sender() refuses to run outside a job"
    message_id = f"msg_{current.job_id}"
    status, retry_after = _post(url, *_signed(origin, message_id, payload))
    if status in SUCCESS:
        return Delivered(status, message_id)
    if status == GONE:
        if webhook_id is not None:
            origin.end(webhook_id)
        raise Fatal("The receiver answered 410 Gone: it wants no more of these.")
    if status in BUSY and retry_after is not None:
        raise _later(status, retry_after)
    raise NotDelivered(f"The receiver answered {status}.")


def _signed(origin: Sender, message_id: str, payload: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The body, and the headers that prove who sent it: one signature for each secret that is good now."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    # standardwebhooks 1.1.0 takes any aware time for UTC, and would sign bytes as their repr.
    now = datetime.now(UTC)
    return body.encode(), {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, body) for secret in origin.secrets()),
    }


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, float | None]:
    """Send it, and return the status with the seconds of Retry-After, if there are any."""
    try:
        with (
            http_client(deadline=time.monotonic() + TRY_SECONDS, timeout=TRY_SECONDS) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            return answer.status_code, _seconds(answer.headers.get("retry-after"))
    except httpx2.TimeoutException:
        raise NotDelivered(f"The receiver did not answer within {TRY_SECONDS:g} s.") from None
    except httpx2.InvalidURL as error:
        raise Fatal(f"This is not a usable address: {error}") from None
    except httpx2.HTTPError as error:
        raise NotDelivered(f"The receiver can't be reached: {str(error) or 'the connection was cut'}") from error


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds, or a date (RFC 9110, 10.2.3); anything else is as good as none."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), 10 * DAY_SECONDS)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _later(status: int, seconds: float) -> Exception:
    """Come back when the receiver asks for it, within the day, and not more and more often for nothing."""
    began, times = checkpoint.get("put_off", (time.time(), 0))
    times += 1
    pause = max(seconds, min(float(2 ** min(times, 12)) / 2, 3600.0))
    if time.time() + pause > began + DAY_SECONDS:
        return Fatal(f"The receiver answered {status} until a day was over.")
    checkpoint["put_off"] = [began, times]
    return RetryLater(pause, f"The receiver answered {status}, and asked to come back in {seconds:g} s.")
