"""The Retention port on PostgreSQL."""

from collections.abc import Sequence
from typing import Any, TypeVar

from threadmill.adapters.postgres.database import Database, Transaction
from threadmill.adapters.postgres.statement import Statement
from threadmill.adapters.postgres.writes import DELETE_UNUSED_PART
from threadmill.adapters.sql import retention_statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.readable import ReadableRows
from threadmill.adapters.sql.statements import DELETE_LINKS, THREAD_LOCK
from threadmill.domain.ids import Instant, RunId, ThreadId
from threadmill.domain.thread import Thread
from threadmill.engine.ports.retention import Found, Removed

T = TypeVar("T")

_RUNS_LOOKED_AT = Statement(s.RUNS_LOOKED_AT)
_DELETE_EVENTS = Statement(s.DELETE_EVENTS)
_THREADS_LOOKED_AT = Statement(s.THREADS_LOOKED_AT)
_IS_IDLE = Statement(s.IS_IDLE)
_THREAD_LOCK = Statement(THREAD_LOCK)
_DELETE_THREAD = Statement(s.DELETE_THREAD)
_DELETE_LINKS = Statement(DELETE_LINKS)
_MESSAGES_OF = Statement(s.MESSAGES_OF)
_IS_LARGE = Statement(s.IS_LARGE)
_DELETE_MESSAGE = Statement(s.DELETE_MESSAGE)
_ENDED_RUNS_OF = Statement(s.ENDED_RUNS_OF)
_DELETE_RUN = Statement(s.DELETE_RUN)


class PostgresRetention:
    """See the port."""

    def __init__(self, database: Database) -> None:
        self._database: Database = database
        self._threads: ReadableRows = ReadableRows("thread")

    async def ended_runs(self, before: Instant, place: int, rows: int) -> Found[RunId]:
        """See the port."""
        found = await self._database.rows(_RUNS_LOOKED_AT, before=before, place=place, rows=rows)
        return Found([RunId(run_id) for _, run_id, is_due in found if is_due], _behind(found, rows))

    async def delete_events(self, runs: Sequence[RunId]) -> None:
        """See the port."""
        rows = [{"run_id": run_id} for run_id in runs]
        await self._database.write(lambda t: t.each(_DELETE_EVENTS, rows))

    async def idle_threads(self, before: Instant, place: int, rows: int) -> Found[Thread]:
        """See the port."""
        found = await self._database.rows(_THREADS_LOOKED_AT, before=before, place=place, rows=rows)
        due = [(str(row_id), (data,)) for _, row_id, data, is_due in found if is_due]
        return Found(self._threads.read(due, lambda row: decode(Thread, row[0])), _behind(found, rows))

    async def shrink(self, thread_id: ThreadId, rows: int) -> bool:
        """See the port."""
        found = await self._database.rows(_IS_LARGE, thread_id=thread_id, rows=rows + 1)
        if all(count <= rows for (count,) in found):
            return False
        return await self._database.write(lambda t: _remove_some(t, thread_id, rows))

    async def remove(self, thread: Thread, before: Instant, rows: int) -> Removed:
        """See the port."""
        return await self._database.write(lambda t: _remove(t, thread, before, rows))


def _behind(found: Sequence[Any], rows: int) -> int | None:
    return found[-1][0] if len(found) == rows else None


async def _remove(t: Transaction, thread: Thread, before: Instant, rows: int) -> Removed:
    await t.rows(_THREAD_LOCK, row_id=thread.id)  # nobody begins to use it meanwhile
    if not await t.rows(_IS_IDLE, thread_id=thread.id, before=before):
        return Removed.NOTHING
    if await _remove_some(t, thread.id, rows):
        return Removed.SOME
    await t.count(_DELETE_THREAD, thread_id=thread.id)
    await t.count(_DELETE_LINKS, object_id=thread.id)
    return Removed.ALL


async def _remove_some(t: Transaction, thread_id: ThreadId, rows: int) -> bool:
    messages = await t.rows(_MESSAGES_OF, thread_id=thread_id, rows=rows)
    await t.each(_DELETE_MESSAGE, [{"place": place} for (place,) in messages])
    runs = await t.rows(_ENDED_RUNS_OF, thread_id=thread_id, rows=rows)
    await t.each(_DELETE_RUN, [{"place": place} for place, *_ in runs])
    for key in sorted({key for _, *keys in runs for key in keys if key is not None}):
        await t.count(DELETE_UNUSED_PART, part=key)
    return bool(messages or runs)
