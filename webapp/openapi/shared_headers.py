"""The headers that several routes read or send."""

from __future__ import annotations

from .operation import request_header, response_header
from .schemas import TEXT

IDEMPOTENCY_KEY = request_header(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "Makes a repeat safe: for 24 h, the same request with the same key returns what the first one stored, and starts "
    "nothing.",
)
REPLAYED = response_header("`true` if an earlier request with this Idempotency-Key stored it.", {"const": "true"})
LAST_EVENT_ID = request_header(
    "Last-Event-ID", {"type": "string", "pattern": "^[0-9]*$"}, "The `id` of the last event received."
)
ETAG_SEEN = request_header("If-None-Match", TEXT, "The `ETag` of an earlier response.")
