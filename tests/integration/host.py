"""Workers that claim and finish jobs in the same steps as real ones, but run nothing."""

from __future__ import annotations

from jobs.engine.broker.store.claims import Claim
from jobs.engine.broker.store.outcome import Outcome, OutcomeKind
from jobs.engine.broker.store.store import Store
from tests.integration.harness import Harness

QUEUES = ("high", "default", "low")
COMPLETED = Outcome(OutcomeKind.COMPLETED)
SERVED_SECONDS = 600


class Host:
    """Claims and finishes jobs as the workers of a host do."""

    def __init__(self, harness: Harness, user_limit: int = 0, name: str = "host") -> None:
        self.store = Store(harness.connection, max_running_per_user=user_limit)
        self.name = name
        self._count = 0
        # Jobs that no worker serves give that as the reason for which they wait.
        self.store.announce(name, (), QUEUES, SERVED_SECONDS)

    def claim(self) -> Claim | None:
        self._count += 1
        claim = self.store.claim(f"{self.name}-worker-{self._count}", f"{self.name}-execution-{self._count}", QUEUES)
        assert claim is None or isinstance(claim, Claim)
        return claim

    def claims(self) -> Claim:
        claim = self.claim()
        assert claim
        return claim

    def finish(self, claim: Claim, outcome: Outcome = COMPLETED) -> OutcomeKind | None:
        return self.store.finish(claim.job_id, claim.execution, "", outcome)
