"""Delivering webhooks: messages to other servers, signed as Standard Webhooks specifies."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

from pydantic import Field

from jobs.engine import Fatal, PublicUrl, Retry, RetryLater, checkpoint, current_job, job
from jobs.engine.webhooks.sender import Sender, sender

#: The longest that one try may take, from the name look-up to the status line. The body is not read.
TRY_SECONDS = 15.0
#: A message that was not accepted within this time is given up.
DAY_SECONDS = 86_400.0

SUCCESS, GONE = range(200, 300), 410
#: With these statuses, Retry-After says when to try again.
BUSY = frozenset({429, 503})


class NotDelivered(Exception):
    """The receiver could not be reached, was too slow, or did not accept the message."""


@dataclass(frozen=True)
class Delivered:
    """The answer of the receiver."""

    #: From 200 to 299.
    status: int
    message_id: str


#: 2 s, 4 s, 8 s … then every hour. With jitter, delays are a quarter shorter on average: a day in all.
_FOR_A_DAY = Retry(max=42, delay=2, max_delay=3600, on=(NotDelivered,))


@job(priority="low", timeout=60, retry=_FOR_A_DAY, preload=("httpx2", "httpcore2", "standardwebhooks"))
def deliver_webhook(
    url: PublicUrl,
    payload: dict[str, Any],
    webhook_id: Annotated[str, Field(max_length=64)] | None = None,
) -> Delivered:
    """Send a message to a URL, signed with your webhook secret.

    Delivery is retried for a day, with increasing delays, until the receiver answers 2xx. Retry-After is honoured with
    429 and 503, 410 ends the subscription `webhook_id`, and redirects are not followed. Every try has the same message
    id, so that the receiver can recognise duplicates.
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
        raise Fatal("The receiver answered 410 Gone: it no longer wants these messages.")
    if status in BUSY and retry_after is not None:
        raise _later(status, retry_after)
    raise NotDelivered(f"The receiver answered {status}.")


def _signed(origin: Sender, message_id: str, payload: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return the body, and headers with a signature for each secret that is valid now."""
    from standardwebhooks import Webhook

    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    # standardwebhooks 1.1.0 treats every aware time as UTC, and would sign the repr of bytes.
    now = datetime.now(UTC)
    return body.encode(), {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, body) for secret in origin.secrets()),
    }


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, float | None]:
    """Send the message. Return the status, and the seconds of Retry-After if it was sent."""
    import httpx2

    from jobs.engine import http_client

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
    """Read Retry-After: a number of seconds or a date (RFC 9110, 10.2.3). Anything else is ignored."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), 10 * DAY_SECONDS)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _later(status: int, seconds: float) -> Exception:
    """Return the error to raise: try again when the receiver asks for it, or give up after a day.

    The delays grow, even if the receiver asks for short ones.
    """
    began, times = checkpoint.get("put_off", (time.time(), 0))
    times += 1
    pause = max(seconds, min(float(2 ** min(times, 12)) / 2, 3600.0))
    if time.time() + pause > began + DAY_SECONDS:
        return Fatal(f"The receiver answered {status} for a day.")
    checkpoint["put_off"] = [began, times]
    return RetryLater(pause, f"The receiver answered {status} and asked to try again in {seconds:g} s.")
