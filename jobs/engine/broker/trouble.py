"""The log of a broker that can't serve this process: each failure of an outage, but the same refusal only rarely."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .connection import REFUSED

logger = logging.getLogger("workhorse")

#: Seconds before the same refusal is logged again. They double each time, up to the second number.
FIRST_PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3_600.0
#: Different refusals that are remembered.
_MAX_REMEMBERED = 100


class BrokerTrouble:
    """Logs what goes wrong with the broker, in the name of one process."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        #: By message, when it may be logged again, and the pause after that.
        self._pauses: dict[str, tuple[float, float]] = {}

    def away(self, error: Exception) -> None:
        """Log that the broker can't do something now, and that it will be tried again."""
        # A client raises an error of ours, whose cause names the permission.
        cause = error.__cause__ or error
        if isinstance(cause, REFUSED):
            self.refused(cause)
        else:
            logger.warning("%s: the broker is away, trying again: %s", self._name, error)

    def refused(self, error: Exception) -> None:
        """Log that the broker does not permit something to the user that this process connects as."""
        if self._is_due(error):
            logger.error(
                "%s: the broker refuses permission: %s. Grant the broker's user what it needs, for example with "
                "ACL SETUSER <user> ~* &* +@all -@dangerous; until then this is tried again.",
                self._name,
                error,
            )

    def failed(self, error: Exception, step: str) -> None:
        """Log that the broker has rejected a step, with a trace: a defect, or a record that is not one of ours."""
        if self._is_due(error):
            logger.error("%s: the broker rejected %s", self._name, step, exc_info=error)

    def _is_due(self, error: Exception) -> bool:
        now, message = self._clock(), str(error)
        due, pause = self._pauses.get(message, (now, FIRST_PAUSE_SECONDS))
        if now < due:
            return False
        if len(self._pauses) >= _MAX_REMEMBERED:
            self._pauses.clear()
        self._pauses[message] = (now + pause, min(2 * pause, LONGEST_PAUSE_SECONDS))
        return True
