"""The Retention port on the SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from threadmill.adapters.sql import retention_statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.readable import ReadableRows
from threadmill.adapters.sql.statements import DELETE_LINKS
from threadmill.adapters.sqlite.database import Database
from threadmill.adapters.sqlite.shared_parts import delete_unused
from threadmill.adapters.sqlite.statement import Statement
from threadmill.domain.ids import Instant, RunId, ThreadId
from threadmill.domain.thread import Thread
from threadmill.engine.ports.retention import Found, Removed

T = TypeVar("T")

_RUNS_LOOKED_AT = Statement(s.RUNS_LOOKED_AT)
_DELETE_EVENTS = Statement(s.DELETE_EVENTS)
_THREADS_LOOKED_AT = Statement(s.THREADS_LOOKED_AT)
_IS_IDLE = Statement(s.IS_IDLE)
_DELETE_THREAD = Statement(s.DELETE_THREAD)
_DELETE_LINKS = Statement(DELETE_LINKS)
_MESSAGES_OF = Statement(s.MESSAGES_OF)
_IS_LARGE = Statement(s.IS_LARGE)
_DELETE_MESSAGE = Statement(s.DELETE_MESSAGE)
_ENDED_RUNS_OF = Statement(s.ENDED_RUNS_OF)
_DELETE_RUN = Statement(s.DELETE_RUN)


class SqliteRetention:
    """See the port. `on_removal`: what the store keeps of a thread in memory is old."""

    def __init__(self, database: Database, on_removal: Callable[[ThreadId], None]) -> None:
        self._database: Database = database
        self._on_removal: Callable[[ThreadId], None] = on_removal
        self._threads: ReadableRows = ReadableRows("thread")

    async def ended_runs(self, before: Instant, place: int, rows: int) -> Found[RunId]:
        """See the port."""
        found = await self._look(_RUNS_LOOKED_AT, before, place, rows)
        return Found([RunId(run_id) for _, run_id, is_due in found if is_due], _behind(found, rows))

    async def delete_events(self, runs: Sequence[RunId]) -> None:
        """See the port."""

        def write(cursor: sqlite3.Cursor) -> None:
            for run_id in runs:
                _DELETE_EVENTS.run(cursor, run_id=run_id)

        await self._database.write(write)

    async def idle_threads(self, before: Instant, place: int, rows: int) -> Found[Thread]:
        """See the port."""
        found = await self._look(_THREADS_LOOKED_AT, before, place, rows)
        due = [(str(row_id), (data,)) for _, row_id, data, is_due in found if is_due]
        return Found(self._threads.read(due, lambda row: decode(Thread, row[0])), _behind(found, rows))

    async def shrink(self, thread_id: ThreadId, rows: int) -> bool:
        """See the port."""
        found = await self._database.read(
            lambda cursor: _IS_LARGE.run(cursor, thread_id=thread_id, rows=rows + 1).fetchall()
        )
        if all(count <= rows for (count,) in found):
            return False
        removed = await self._database.write(lambda cursor: _remove_some(cursor, thread_id, rows))
        self._on_removal(thread_id)
        return removed

    async def remove(self, thread: Thread, before: Instant, rows: int) -> Removed:
        """See the port."""
        removed = await self._database.write(lambda cursor: _remove(cursor, thread, before, rows))
        self._on_removal(thread.id)
        return removed

    async def _look(self, statement: Statement, before: Instant, place: int, rows: int) -> list[Any]:
        return await self._database.read(
            lambda cursor: statement.run(cursor, before=before, place=place, rows=rows).fetchall()
        )


def _behind(found: Sequence[Any], rows: int) -> int | None:
    return found[-1][0] if len(found) == rows else None


def _remove(cursor: sqlite3.Cursor, thread: Thread, before: Instant, rows: int) -> Removed:
    if _IS_IDLE.run(cursor, thread_id=thread.id, before=before).fetchone() is None:
        return Removed.NOTHING
    if _remove_some(cursor, thread.id, rows):
        return Removed.SOME
    _DELETE_THREAD.run(cursor, thread_id=thread.id)
    _DELETE_LINKS.run(cursor, object_id=thread.id)
    return Removed.ALL


def _remove_some(cursor: sqlite3.Cursor, thread_id: ThreadId, rows: int) -> bool:
    messages = _MESSAGES_OF.run(cursor, thread_id=thread_id, rows=rows).fetchall()
    for (place,) in messages:
        _DELETE_MESSAGE.run(cursor, place=place)
    runs = _ENDED_RUNS_OF.run(cursor, thread_id=thread_id, rows=rows).fetchall()
    for place, *_ in runs:
        _DELETE_RUN.run(cursor, place=place)
    delete_unused(cursor, list({key for _, *keys in runs for key in keys if key is not None}))
    return bool(messages or runs)
