"""The audit log: who did what, when, and from where. Entries are never changed; the newest 100,000 are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import redis
from pydantic import Field
from pydantic_core import to_json

from jobs.engine.broker.background_writer import BackgroundWriter
from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable, text
from jobs.engine.errors import Fault, InvalidRequest
from jobs.engine.public_fields import public_fields
from jobs.engine.times import rfc3339

KEY = "wh:audit"
KEEP_ENTRIES = 100_000
#: The most entries that one page of a filtered list reads.
PAGE_LOOK = 1_000

_EPOCH, _MILLISECOND = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)
_CURSOR = re.compile(r"[0-9]{1,15}-[0-9]{1,15}", re.ASCII)

# All entries or none, in one command instead of hundreds.
_ADD = """
for _, fields in ipairs(cjson.decode(ARGV[2])) do
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(fields))
end
"""


@dataclass(frozen=True)
class Act:
    """An action that a caller took or tried."""

    action: Annotated[
        str, Field(description="What was done, for example `sign-in`, `submit-job`, `cancel-job` or `admin-read`.")
    ]
    user_id: Annotated[str | None, Field(description="Who did it, or the name of an attempt to sign in.")]
    address: Annotated[str | None, Field(description="The network address that it was done from.")]
    status: Annotated[int, Field(description="The HTTP status of the response.")]
    subject: Annotated[str | None, Field(description="What it was done to.")] = None


@dataclass(frozen=True)
class Entry:
    """An action in the log."""

    id: str
    #: On the broker's clock.
    at: datetime
    act: Act

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the HTTP API."""
        return {"id": self.id, "at": rfc3339(self.at)} | public_fields(self.act)


@dataclass(frozen=True)
class AuditPage:
    """One page of the log."""

    entries: list[Entry]
    next_cursor: str | None


class Audit:
    """Writes and reads the audit log."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection: Any = connection
        self._add: Any = connection.register_script(_ADD)
        self._writer: BackgroundWriter[Act] = BackgroundWriter("audit", self._write)

    def note(self, act: Act) -> None:
        """Add an action to the log within a quarter of a second. This neither waits nor fails."""
        self._writer.add(act)

    def flush(self) -> None:
        """Write the noted actions now."""
        self._writer.flush()

    def _write(self, acts: list[Act]) -> None:
        self._add(keys=[KEY], args=[KEEP_ENTRIES, to_json([entry_fields(act) for act in acts])])

    def page(
        self,
        *,
        user_id: str | None = None,
        action: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> AuditPage:
        """Return a page of entries, newest first. A page filtered by user or action may be short, and not the last.

        Raises:
            InvalidRequest: the cursor is not valid.
            BrokerUnavailable
        """
        check_cursor(cursor)
        self.flush()
        highest = f"({cursor}" if cursor else f"({_first_from(before)}-0" if before else "+"
        lowest = f"{_first_after(after)}-0" if after else "-"
        look = PAGE_LOOK if user_id or action else limit
        with broker_errors():
            rows = readable(KEY, lambda: self._connection.xrevrange(KEY, max=highest, min=lowest, count=look + 1)) or []
        entries: list[Entry] = []
        for place, row in enumerate(rows):
            if len(entries) == limit or place == look:
                return AuditPage(entries, rows[place - 1][0].decode())
            entry = readable(KEY, lambda row=row: _entry(*row))  # type: ignore[misc]
            if entry is not None and user_id in (None, entry.act.user_id) and action in (None, entry.act.action):
                entries.append(entry)
        return AuditPage(entries, None)


def check_cursor(cursor: str | None) -> None:
    """Raise InvalidRequest unless the cursor has the form of those that a page returns."""
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise InvalidRequest([Fault("is not a valid cursor", "bad_cursor", parameter="cursor")])


def entry_fields(act: Act) -> list[str]:
    """Return the names and values of an entry in the broker, in turn."""
    fields = ["action", act.action, "status", str(act.status)]
    for name, value in (("user_id", act.user_id), ("address", act.address), ("subject", act.subject)):
        if value is not None:
            fields += [name, value]
    return fields


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    found = {text(name): text(value) for name, value in fields.items()}
    at = datetime.fromtimestamp(int(entry_id.split(b"-")[0]) / 1_000, UTC)
    act = Act(found["action"], found.get("user_id"), found.get("address"), int(found["status"]), found.get("subject"))
    return Entry(entry_id.decode(), at, act)


def _first_from(moment: datetime) -> int:
    """Return the first whole millisecond since 1970 that is not before a moment."""
    return max(1, -((_EPOCH - moment) // _MILLISECOND))


def _first_after(moment: datetime) -> int:
    """Return the first whole millisecond since 1970 that is after a moment."""
    return max(0, (moment - _EPOCH) // _MILLISECOND + 1)
