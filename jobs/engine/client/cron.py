"""When a cron line is due, on the clocks of a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter

from jobs.engine.errors import Fault, InvalidRequest

MAX_CHARACTERS = 100
ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")

#: croniter's own H and R, a value picked by hash or by chance: each process would pick another one.
_PICKED = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)


def check(cron: str, timezone: str) -> None:
    """Refuse what can't be scheduled.

    Raises:
        InvalidRequest: with the pointers /cron and /timezone.
    """
    faults = []
    if timezone not in available_timezones():
        message = "there is no such time zone; expected an IANA name, as in Europe/Berlin"
        faults.append(Fault(message, "bad_timezone", pointer="/timezone"))
    if trouble := _trouble(cron):
        faults.append(Fault(trouble, "bad_cron", pointer="/cron"))
    if faults:
        raise InvalidRequest(faults)


def next_tick(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` at which a cron line that was checked is due, in UTC.

    When clocks are put forward, what falls into the gap is due at its end, once. When they are put back, a line with
    fixed hours is due the first time of two, and one for every hour or every few is due both times.
    """
    times = croniter(cron, after.astimezone(ZoneInfo(timezone)))
    while True:
        tick: datetime = times.get_next(datetime)
        if tick > after and not (tick.fold and _has_fixed_hours(cron)):
            return tick.astimezone(UTC)


def _has_fixed_hours(cron: str) -> bool:
    return not cron.split()[1].startswith("*") if " " in cron else cron != "@hourly"


def _trouble(cron: str) -> str | None:
    if cron not in ALIASES and len(cron.split()) != 5:
        return f"expected minute, hour, day of month, month and day of week, or one of {', '.join(ALIASES)}"
    if _PICKED.search(cron):
        return "H and R are picked anew by each process; write numbers"
    try:
        croniter(cron, datetime.now(UTC)).get_next(datetime)
    except CroniterError as error:
        return f"is no cron line that is ever due: {str(error)[:200]}"
    return None
