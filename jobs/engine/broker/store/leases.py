"""How long a worker holds a job without a sign of life."""

#: Seconds without a heartbeat after which a worker may be taken for dead; and between two of its heartbeats.
LEASE_SECONDS = 8.0
HEARTBEAT_SECONDS = 1.0
#: Seconds between the two looks that find a lease expired. Longer than a heartbeat takes to get through.
SUSPICION_SECONDS = 2.5
