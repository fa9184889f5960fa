"""The queues that a worker serves: found in the broker, and announced there."""

from __future__ import annotations

import logging
import time

from jobs.engine.broker.connection import NOT_NOW
from jobs.engine.broker.store.store import Store
from jobs.engine.queue_names import Ability

logger = logging.getLogger("workhorse")

#: Seconds between two looks for new queues.
LOOK_SECONDS = 0.8
#: Seconds between two announcements, and for which one is valid: longer than a worker is busy with anything else.
ANNOUNCE_SECONDS = 5.0
VALID_SECONDS = 15


class ServedQueues:
    """A queue with needs exists once a job has used it, so a worker looks for queues that it can serve."""

    def __init__(self, worker: str, ability: Ability, store: Store) -> None:
        self._worker = worker
        self._ability = ability
        self._store = store
        self._look_at = 0.0
        self._announce_at = 0.0
        #: In the order in which the worker empties them.
        self.names: list[str] = ability.served(())

    def look(self) -> bool:
        """Look for queues and announce them, if it is time. Return True if there are other queues now.

        Raises redis-py's errors.
        """
        now = time.monotonic()
        if now >= self._announce_at:
            names = self._announce()
        # Without needs, it always serves the same queues.
        elif self._ability.can and now >= self._look_at:
            names = self._store.queues()
        else:
            return False
        self._look_at = now + LOOK_SECONDS
        found = self._ability.served(names)
        if found == self.names:
            return False
        logger.info("%s: serves %s", self._worker, ", ".join(found) or "no queue")
        self.names = found
        self._announce()
        return True

    def look_while_busy(self) -> bool:
        """Do the same while a job runs. An outage is left to the next look."""
        try:
            return self.look()
        except NOT_NOW as error:
            logger.debug("%s: the queues can't be read: %s", self._worker, error)
            return False

    def _announce(self) -> list[str]:
        """Announce the queues. Return those in the broker."""
        self._announce_at = time.monotonic() + ANNOUNCE_SECONDS
        return self._store.announce(self._worker, sorted(self._ability.can), self.names, VALID_SECONDS)
