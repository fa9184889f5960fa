"""Pause and resume queues and job types."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from jobs.engine.broker.connection import broker_errors
from jobs.engine.broker.malformed import readable
from jobs.engine.broker.store.control_records import KEY
from jobs.engine.broker.store.store import Store
from jobs.engine.client.pauses import Pause, new_pause
from jobs.engine.errors import QueueNotFound
from jobs.engine.queue_names import QueueName, priority_of

_QUEUE, _TYPE = "queue:", "type:"


@dataclass(frozen=True)
class Pauses:
    """The pauses that are not over."""

    now: datetime
    #: By `queue:<queue>` or `type:<job type>`.
    by_subject: dict[str, Pause]

    def of_queue(self, name: str) -> Pause | None:
        """Return the pause of a queue. The pause of a priority is also that of its queues with needs."""
        return self.by_subject.get(_QUEUE + name) or self.by_subject.get(_QUEUE + priority_of(name))

    def has_own(self, name: str) -> bool:
        """Return True if this queue is paused itself, and not only with its priority."""
        return _QUEUE + name in self.by_subject

    def of_job_type(self, name: str) -> Pause | None:
        return self.by_subject.get(_TYPE + name)

    @property
    def of_job_types(self) -> dict[str, Pause]:
        """The paused job types by name. The code of some may be gone."""
        found = {subject: pause for subject, pause in self.by_subject.items() if subject.startswith(_TYPE)}
        return {subject.removeprefix(_TYPE): found[subject] for subject in sorted(found)}


class Control:
    """Every method raises BrokerUnavailable if the broker can't be reached."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pauses(self) -> Pauses:
        """Read all pauses."""
        with broker_errors():
            now, found = self._store.control.read()
        read = {subject: readable(f"{KEY} {subject}", partial(Pause.read, it)) for subject, it in found.items()}
        return Pauses(now, {subject: pause for subject, pause in read.items() if pause and not pause.is_over(now)})

    def check_queue(self, name: str) -> None:
        """Raise QueueNotFound unless this is a queue that Workhorse's workers empty."""
        queue = QueueName.read(name)
        with broker_errors():
            if queue is None or (queue.needs and name not in self._store.queues()):
                raise QueueNotFound(f"Workhorse has no queue {name[:100]!r}; GET /api/v1/queues lists the queues.")

    def check_until(self, until: datetime | None) -> None:
        """Raise InvalidRequest unless a pause can end at this time."""
        new_pause(self.pauses().now, None, None, until)

    def pause_queue(self, name: str, by: str | None, reason: str | None, until: datetime | None) -> Pause:
        """Let no worker take a job from a queue, until it is resumed or until a time. Running jobs finish.

        The caller checks that the queue exists. The pause of a priority includes its queues with needs. A pause
        replaces an earlier one, unless both have the same reason and end. Return the one that is in force.

        Raises:
            InvalidRequest: `until` is not in the future.
        """
        return self._pause(_QUEUE + name, by, reason, until)

    def pause_job_type(self, name: str, by: str | None, reason: str | None, until: datetime | None) -> Pause:
        """Let no worker take a job of this type, like `pause_queue`. The caller checks that the type exists.

        Raises:
            InvalidRequest: `until` is not in the future.
        """
        return self._pause(_TYPE + name, by, reason, until)

    def resume_queue(self, name: str) -> None:
        """End the pause of a queue. A queue with needs stays paused while its priority is."""
        self._resume(_QUEUE + name)

    def resume_job_type(self, name: str) -> None:
        """End the pause of a job type."""
        self._resume(_TYPE + name)

    def _pause(self, subject: str, by: str | None, reason: str | None, until: datetime | None) -> Pause:
        pauses = self.pauses()
        pause = new_pause(pauses.now, by, reason, until)
        earlier = pauses.by_subject.get(subject)
        if earlier and earlier.means_the_same_as(pause):
            return earlier
        # The scripts compare times as numbers.
        document = pause.as_dict() | {"ends": pause.until.timestamp() if pause.until else None}
        with broker_errors():
            self._store.control.pause(subject, json.dumps(document))
        return pause

    def _resume(self, subject: str) -> None:
        with broker_errors():
            self._store.control.resume(subject)
