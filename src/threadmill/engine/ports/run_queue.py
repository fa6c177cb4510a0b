"""The run queue: which runs wait for a worker, lost theirs, or are overdue. Claiming itself is a guarded write."""

from collections.abc import Sequence
from typing import Protocol

from threadmill.domain.ids import Instant, RunId
from threadmill.domain.run import Run


class RunQueue(Protocol):
    """Reads over the active runs of all projects, and the heartbeat."""

    async def queued(self, limit: int) -> Sequence[Run]:
        """Queued runs, oldest first."""
        ...

    async def lease_expired(self, at: Instant, limit: int) -> Sequence[Run]:
        """Runs in_progress or cancelling whose lease is missing or ended before `at`."""
        ...

    async def overdue(self, at: Instant, limit: int) -> Sequence[Run]:
        """Active runs whose expires_at is `at` or earlier."""
        ...

    async def extend_lease(self, run_id: RunId, epoch: int, until: Instant) -> bool:
        """Heartbeat: hold the lease until `until`. False: the claim is lost, stop working. Keeps the row's version."""
        ...
