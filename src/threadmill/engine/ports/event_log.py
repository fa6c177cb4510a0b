"""The live log of a run: stored events and fleeting deltas in one order, for everyone who watches it now."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, TypeAlias

from threadmill.domain.delta import Delta
from threadmill.domain.ids import RunId
from threadmill.engine.ports.store import StoredEvent

Entry: TypeAlias = StoredEvent | Delta


class EventLog(Protocol):
    """Fan-out per run. Publishing never waits for a reader; a reader lags on its own cursor."""

    def publish(self, run_id: RunId, events: Sequence[StoredEvent]) -> None:
        """Append committed events. Call it right after the commit; order is kept by sequence number."""
        ...

    def publish_delta(self, run_id: RunId, delta: Delta) -> None:
        """Append a delta of what is open now."""
        ...

    def tail(self, run_id: RunId, after: int = 0, *, is_whole: bool = False) -> AsyncGenerator[Sequence[Entry], None]:
        """All entries behind event `after`, then live ones, in batches; each batch is what arrived since the last.

        Ends after a terminal run event or requires_action; if `is_whole` only after a terminal one. Events older than this process's memory come from the
        store; a reader who comes late gets the open message's text so far as one delta.
        """
        ...

    def close(self, run_id: RunId) -> None:
        """Nothing more comes from this process; readers end when they have read all."""
        ...

    def close_all(self) -> None:
        """The process stops: as `close` for every run."""
        ...
