"""Find out when a cron line is due in a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from jobs.engine.errors import Fault, InvalidRequest

MAX_CHARACTERS = 100
ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")

#: croniter's own H and R, a value picked by hash or at random: each process would pick another one.
_PICKED = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)


def check(cron: str, timezone: str) -> None:
    """Refuse a cron line or a time zone that can't be used.

    Raises:
        InvalidRequest: with the pointers /cron and /timezone.
    """
    faults = []
    if timezone not in available_timezones():
        message = "this time zone does not exist; expected an IANA name such as Europe/Berlin"
        faults.append(Fault(message, "bad_timezone", pointer="/timezone"))
    if fault := _fault(cron):
        faults.append(Fault(fault, "bad_cron", pointer="/cron"))
    if faults:
        raise InvalidRequest(faults)


def next_tick(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first time after `after` at which a valid cron line is due, in UTC.

    When clocks are put forward, a time in the gap is due once, at the end of the gap. When they are put back, a line
    with fixed hours is due at the first of the two times, and a line for every hour or every few hours at both.
    """
    from croniter import croniter  # here, because a process starts faster without it

    times = croniter(cron, after.astimezone(ZoneInfo(timezone)))
    while True:
        tick: datetime = times.get_next(datetime)
        if tick > after and not (tick.fold and _has_fixed_hours(cron)):
            return tick.astimezone(UTC)


def _has_fixed_hours(cron: str) -> bool:
    return not cron.split()[1].startswith("*") if " " in cron else cron != "@hourly"


def _fault(cron: str) -> str | None:
    if cron not in ALIASES and len(cron.split()) != 5:
        return f"expected minute, hour, day of month, month and day of week, or one of {', '.join(ALIASES)}"
    if _PICKED.search(cron):
        return "each process would pick another value for H and R; write numbers"
    from croniter import CroniterError, croniter

    try:
        croniter(cron, datetime.now(UTC)).get_next(datetime)
    except CroniterError as error:
        return f"this cron line is not valid, or is never due: {str(error)[:200]}"
    return None
