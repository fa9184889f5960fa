"""Read the request headers of a submission: Idempotency-Key and Prefer."""

from __future__ import annotations

import re

from werkzeug.http import parse_list_header

from jobs.engine.errors import Fault, InvalidRequest, MalformedRequest

from .current import current_request

MAX_WAIT_SECONDS = 25
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SECONDS = re.compile(r"[0-9]{1,9}")


def idempotency_key() -> str | None:
    """Return the Idempotency-Key; None if the request has none.

    Raises:
        MalformedRequest: it is not 1 to 255 visible ASCII characters.
    """
    key = current_request().environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise MalformedRequest("An Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return key


def preferred_wait() -> int | None:
    """Return the N of `Prefer: wait=N`, in seconds. Other preferences are ignored (RFC 7240).

    Raises:
        InvalidRequest: N is not a whole number from 0 to 25.
    """
    preferences = current_request().environ.get("HTTP_PREFER")
    for preference in parse_list_header(preferences) if preferences else ():
        name, _, value = preference.split(";")[0].partition("=")
        if name.strip().lower() == "wait":
            return _seconds(value.strip().strip('"'))
    return None


def _seconds(value: str) -> int:
    if not _SECONDS.fullmatch(value) or int(value) > MAX_WAIT_SECONDS:
        message = f"wait must be a whole number of seconds from 0 to {MAX_WAIT_SECONDS}"
        raise InvalidRequest([Fault(message, "bad_wait", parameter="Prefer")])
    return int(value)
