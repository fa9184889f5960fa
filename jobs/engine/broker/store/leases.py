"""The lease: how long a worker holds a job without a sign of life."""

from enum import StrEnum

#: Seconds without a heartbeat after which a worker may be dead; and between two of its heartbeats.
LEASE_SECONDS = 8.0
HEARTBEAT_SECONDS = 1.0
#: Seconds between the two looks that find a lease expired. Longer than a heartbeat takes to get through.
SUSPICION_SECONDS = 2.5


class Lease(StrEnum):
    """The reply to a heartbeat."""

    HELD = "held"
    #: Held, but someone has asked to cancel the job.
    CANCEL = "cancel"
    #: Another execution holds the job, or none does.
    LOST = "lost"
