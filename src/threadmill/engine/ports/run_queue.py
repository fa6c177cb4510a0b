"""The run queue: which runs wait for a worker, lost theirs, or are overdue. Claiming itself is a guarded write."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from threadmill.domain.ids import Instant, RunId
from threadmill.domain.run import Run


class RunQueue(Protocol):
    """Reads over the active runs of all projects, and the heartbeat. A row that cannot be read is told to the operator
    with its id and left out: it hurts nobody else.
    """

    async def queued(self, limit: int, besides: Collection[str] = ()) -> Sequence[Run]:
        """Queued runs, oldest first, those of the models `besides` left out."""
        ...

    async def lease_expired(self, at: Instant, limit: int) -> Sequence[Run]:
        """Runs in_progress or cancelling whose lease is missing or ended before `at`."""
        ...

    async def overdue(self, at: Instant, limit: int) -> Sequence[Run]:
        """Active runs whose expires_at is `at` or earlier."""
        ...

    async def extend_leases(self, claims: Mapping[RunId, int], until: Instant) -> frozenset[RunId]:
        """Heartbeat: hold the leases of runs under these epochs until `until`, in one transaction; keeps the rows'
        versions. Gives the runs whose claim is lost: stop working on them. Raises Unavailable.
        """
        ...
