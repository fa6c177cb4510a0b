"""The Retention port on plain dictionaries."""

from collections.abc import Callable, Sequence

from threadmill.domain.ids import Instant, RunId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.engine.ports.retention import Found, Removed
from threadmill.engine.ports.store import Row, StoredEvent


class MemoryRetention:
    """See the port. `rows` and `logs` give what the store has at the moment."""

    def __init__(self, rows: Callable[[], dict[str, Row]], logs: Callable[[], dict[RunId, list[StoredEvent]]]) -> None:
        self._rows: Callable[[], dict[str, Row]] = rows
        self._logs: Callable[[], dict[RunId, list[StoredEvent]]] = logs

    async def ended_runs(self, before: Instant, place: int, rows: int) -> Found[RunId]:
        """See the port."""
        del place, rows  # all are looked at
        runs, logs = [row for row in self._rows().values() if isinstance(row, Run)], self._logs()
        return Found([run.id for run in runs if run.created_at < before and run.is_terminal and run.id in logs], None)

    async def delete_events(self, runs: Sequence[RunId]) -> None:
        """See the port."""
        for run_id in runs:
            self._logs().pop(run_id, None)

    async def idle_threads(self, before: Instant, place: int, rows: int) -> Found[Thread]:
        """See the port."""
        del place, rows  # as above
        threads = [row for row in self._rows().values() if isinstance(row, Thread)]
        return Found([thread for thread in threads if self._is_idle(thread, before)], None)

    def _is_idle(self, thread: Thread, before: Instant) -> bool:
        said = [row for row in self._rows().values() if isinstance(row, Message | Run) and row.thread_id == thread.id]
        active = any(isinstance(row, Run) and not row.is_terminal for row in said)
        return not active and all(row.created_at < before for row in (thread, *said))

    async def shrink(self, thread_id: ThreadId, rows: int) -> bool:
        """See the port."""
        held = [row for row in self._rows().values() if isinstance(row, Message | Run) and row.thread_id == thread_id]
        runs = sum(isinstance(row, Run) for row in held)
        return max(runs, len(held) - runs) > rows and self._remove_some(thread_id, rows)

    async def remove(self, thread: Thread, before: Instant, rows: int) -> Removed:
        """See the port."""
        held = self._rows()
        if thread.id not in held or not self._is_idle(thread, before):
            return Removed.NOTHING
        if self._remove_some(thread.id, rows):
            return Removed.SOME
        del held[thread.id]
        return Removed.ALL

    def _remove_some(self, thread_id: ThreadId, rows: int) -> bool:
        held = [row for row in self._rows().values() if isinstance(row, Message | Run) and row.thread_id == thread_id]
        messages = [row.id for row in held if isinstance(row, Message)][:rows]
        runs = [row.id for row in held if isinstance(row, Run) and row.is_terminal][:rows]
        steps = [row.id for row in self._rows().values() if isinstance(row, RunStep) and row.run_id in runs]
        for gone in (*messages, *runs, *steps):
            del self._rows()[gone]
        for run_id in runs:
            self._logs().pop(run_id, None)
        return bool(messages or runs)
