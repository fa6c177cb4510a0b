"""The Store and RunQueue ports on one SQLite file."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import String, bindparam, func, select
from sqlalchemy.dialects import sqlite

from threadmill.adapters.sql import statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.event_codec import event_rows, read_events
from threadmill.adapters.sql.migrate import migrate
from threadmill.adapters.sql.readable import RawRow, ReadableTables, by_last
from threadmill.adapters.sql.rows import join_row, row_size, split_row
from threadmill.adapters.sqlite.cache import HistoryCache, RowCache
from threadmill.adapters.sqlite.chunks import SEALED, SqliteChunks
from threadmill.adapters.sqlite.database import PATIENCE, Database, acquire_lock, connect
from threadmill.adapters.sqlite.file_index import SqliteFileIndex
from threadmill.adapters.sqlite.retention import SqliteRetention
from threadmill.adapters.sqlite.shared_parts import collect_parts, delete_unused, insert_parts
from threadmill.adapters.sqlite.statement import Statement
from threadmill.domain.assistant import Assistant
from threadmill.domain.cache_budget import CacheBudget
from threadmill.domain.error import InvalidRequest, VersionConflict, thread_full
from threadmill.domain.ids import Instant, ProjectId, RunId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.page import Page, PageQuery, take_page
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.vector_store import FileBatch, VectorStore, VectorStoreFile, check_store_room
from threadmill.engine.ports.store import (
    AddCounts,
    Delete,
    EpochGuard,
    Guard,
    Insert,
    R,
    Row,
    Scope,
    Sealed,
    StoredEvent,
    StoreHasRoom,
    ThreadCapacity,
    ThreadIsFree,
    Update,
    Write,
    WriteSet,
)
from threadmill.engine.ports.troubles import Troubles


@cache
def _insert(kind: type[Row]) -> Statement:
    return Statement(s.insert_into(s.TABLE_OF[kind]))


@cache
def _update(kind: type[Row]) -> Statement:
    return Statement(s.update_of(s.TABLE_OF[kind]))


@cache
def _delete(kind: type[Row]) -> Statement:
    return Statement(s.delete_from(s.TABLE_OF[kind]))


@cache
def _add_counts(kind: type[VectorStore] | type[FileBatch]) -> Statement:
    return Statement(s.add_counts(kind))


@cache
def _get(kind: type[Row]) -> Statement:
    return Statement(s.row_by_id(kind))


@cache
def _position(kind: type[Row], filters: tuple[str, ...]) -> Statement:
    return Statement(s.cursor_position(kind, filters))


@cache
def _page(shape: s.PageShape) -> Statement:
    return Statement(s.page(shape))


@cache
def _add_events(count: int) -> str:
    """One statement for all events of a transaction; parameters are rows of (run_id, seq, name, data)."""
    statement = s.add_events(count)
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))


_HISTORY = Statement(s.HISTORY)
_STEPS = Statement(s.STEPS)
_ACTIVE_RUN = Statement(s.ACTIVE_RUN)
_EVENTS = Statement(s.EVENTS)
_RUN_OF_EVENTS = Statement(s.RUN_OF_EVENTS)
_LAST_SEQ = Statement(s.LAST_SEQ)
_EPOCH = Statement(s.EPOCH)
_THREAD_EXISTS = Statement(s.THREAD_EXISTS)
_COUNT_MESSAGES = Statement(s.COUNT_MESSAGES)
_COUNT_STORE_FILES = Statement(s.COUNT_STORE_FILES)
_DELETE_LINKS = Statement(s.DELETE_LINKS)
_INSERT_LINK = Statement(s.INSERT_LINK)
_BESIDES = select(func.json_each(bindparam("besides", type_=String)).table_valued("value").c.value)
_WAITING = Statement(s.waiting(_BESIDES))
_LAPSED = Statement(s.LAPSED)
_OVERDUE = Statement(s.OVERDUE)
_EXTEND_LEASE = Statement(s.EXTEND_LEASE)


class SqliteStore:
    """See the ports `Store` and `RunQueue`."""

    def __init__(self, database: Database, budget: CacheBudget | None = None) -> None:
        shared = budget or CacheBudget()
        self._database: Database = database
        self._readable: ReadableTables = ReadableTables()
        self.files: SqliteFileIndex = SqliteFileIndex(database, self._readable)
        self.chunks: SqliteChunks = SqliteChunks(database, self._readable.of(VectorStoreFile))
        self.retention: SqliteRetention = SqliteRetention(database, self._forget)
        self._rows: RowCache = RowCache(budget=shared)
        self._histories: HistoryCache = HistoryCache(budget=shared)

    @classmethod
    async def open(
        cls, path: Path, troubles: Troubles, budget: CacheBudget | None = None, patience: float = PATIENCE
    ) -> "SqliteStore":
        """Open or create the file and bring its schema up to date; `budget` is shared with other caches.

        `patience`: seconds a write waits for a database that is locked. Raises DatabaseInUse, Unavailable.
        """
        descriptor = acquire_lock(path)
        migrate(f"sqlite:///{path}")
        return cls(Database(path, descriptor, connect(path), troubles, patience), budget)

    async def close(self) -> None:
        """Finish pending writes and let go of the file."""
        await self._database.close()

    async def set_max_pages(self, pages: int) -> None:
        """Refuse to grow the file beyond `pages` of SQLite's pages (4096 bytes): a disk quota."""
        await self._database.set_max_pages(pages)

    async def apply(self, write_set: WriteSet) -> int:
        """See the port."""
        first = await self._database.write(lambda cursor: _apply(cursor, write_set))
        for one in write_set.writes:
            self._rows.on_write(one)
            self._histories.on_write(one)
        return first

    def _forget(self, thread_id: ThreadId) -> None:
        """What is kept in memory of a thread whose rows are being removed."""
        self._rows.on_write(Delete(Thread, thread_id))
        self._histories.on_write(Delete(Thread, thread_id))

    async def get(self, kind: type[R], project: ProjectId, object_id: str) -> R | None:
        """See the port."""
        if (cached := self._rows.get(kind, object_id)) is not None:
            return cached if cached.project == project else None

        def read(cursor: sqlite3.Cursor) -> R | None:
            found = _get(kind).run(cursor, row_id=object_id, project=project).fetchone()
            return (
                None if found is None else self._readable.of(kind).read_one(object_id, found, partial(join_row, kind))
            )

        generation = self._rows.generation
        row = await self._database.read(read)
        if row is not None and isinstance(row, Run | Thread | Assistant) and generation == self._rows.generation:
            self._rows.add(row)
        return row

    async def page(self, kind: type[R], scope: Scope, query: PageQuery) -> Page[R]:
        """See the port."""

        def read(cursor: sqlite3.Cursor) -> Page[R]:
            rows, has_more = _read_page(cursor, kind, scope, query)
            return Page(self._readable.of(kind).read(by_last(rows), partial(join_row, kind)), has_more)

        return await self._database.read(read)

    async def history(self, thread_id: ThreadId, newest: int | None = None) -> Sequence[Message]:
        """See the port."""
        if (cached := self._histories.get(thread_id)) is not None:
            return cached if newest is None or len(cached) <= newest else cached[len(cached) - newest :]
        rows = -1 if newest is None else newest
        reading = self._histories.begin_read(thread_id)

        def read(cursor: sqlite3.Cursor) -> tuple[list[Message], int]:
            found = _HISTORY.run(cursor, thread_id=thread_id, rows=rows).fetchall()
            found.reverse()
            return self._readable.of(Message).read(by_last(found), lambda row: decode(Message, row[0])), len(found)

        messages, count = await self._database.read(read)
        if newest is None or count < newest:
            self._histories.complete(thread_id, reading, messages)
        return messages

    async def steps(self, run_id: RunId) -> Sequence[RunStep]:
        """See the port."""
        return [decode(RunStep, data) for (data,) in await self._all(_STEPS, run_id=run_id)]

    async def active_run(self, thread_id: ThreadId) -> Run | None:
        """See the port."""
        found = await self._all(_ACTIVE_RUN, thread_id=thread_id)
        return self._readable.of(Run).read_one(found[0][-1], found[0], partial(join_row, Run)) if found else None

    async def events(self, run_id: RunId, after: int = 0) -> Sequence[StoredEvent]:
        """See the port."""

        def read(cursor: sqlite3.Cursor) -> list[StoredEvent]:
            # One back: an event that repeats the one before it stores nothing.
            rows = _EVENTS.run(cursor, run_id=run_id, after=after - 1).fetchall()
            run = _RUN_OF_EVENTS.run(cursor, run_id=run_id).fetchone() if rows else None
            return read_events(join_row(Run, run), rows, after) if run is not None else []

        return await self._database.read(read)

    async def queued(self, limit: int, besides: Collection[str] = ()) -> Sequence[Run]:
        """See the port."""
        return await self._read_runs(_WAITING, limit, besides=msgspec.json.encode(list(besides)).decode())

    async def lease_expired(self, at: Instant, limit: int) -> Sequence[Run]:
        """See the port."""
        return await self._read_runs(_LAPSED, limit, at=at)

    async def overdue(self, at: Instant, limit: int) -> Sequence[Run]:
        """See the port."""
        return await self._read_runs(_OVERDUE, limit, at=at)

    async def _read_runs(self, statement: Statement, limit: int, **parameters: object) -> list[Run]:
        readable = self._readable.of(Run)
        found = await self._all(statement, rows=readable.to_read(limit), **parameters)
        return readable.read(by_last(found), partial(join_row, Run))[:limit]

    async def extend_leases(self, claims: Mapping[RunId, int], until: Instant) -> frozenset[RunId]:
        """See the port."""

        def write(cursor: sqlite3.Cursor) -> frozenset[RunId]:
            return frozenset(
                run_id
                for run_id, epoch in claims.items()
                if _EXTEND_LEASE.run(cursor, row_id=run_id, held=epoch, until=until).rowcount != 1
            )

        lost = await self._database.write(write)
        for run_id, epoch in claims.items():
            cached = self._rows.get(Run, run_id)
            if run_id not in lost and cached is not None and cached.epoch == epoch:
                self._rows.replace(replace(cached, lease_until=until))
        return lost

    async def _all(self, statement: Statement, **parameters: object) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda cursor: statement.run(cursor, **parameters).fetchall())


def _apply(cursor: sqlite3.Cursor, write_set: WriteSet) -> int:
    """One write set inside its savepoint: guards, rows, events."""
    for guard in write_set.guards:
        _check(cursor, guard)
    for write in write_set.writes:
        _write(cursor, write)
    if not write_set.events or write_set.run_id is None:
        return 0
    first: int = (_LAST_SEQ.run(cursor, run_id=write_set.run_id).fetchone()[0] or 0) + 1
    rows = event_rows(write_set.run_id, first, write_set.events)
    cursor.execute(_add_events(len(rows)), [value for row in rows for value in (write_set.run_id, *row)])
    return first


def _check(cursor: sqlite3.Cursor, guard: Guard) -> None:
    match guard:
        case EpochGuard(run_id, epoch):
            found = _EPOCH.run(cursor, row_id=run_id).fetchone()
            if found is None or found[0] != epoch:
                raise VersionConflict(f"the claim of {run_id} is not epoch {epoch} any more")
        case ThreadIsFree(thread_id):
            if _THREAD_EXISTS.run(cursor, row_id=thread_id).fetchone() is None:
                raise VersionConflict(f"{thread_id} is gone")
            if _ACTIVE_RUN.run(cursor, thread_id=thread_id).fetchone() is not None:
                raise VersionConflict(f"{thread_id} has an active run")
        case Sealed(edition):
            if SEALED.run(cursor, edition=edition).fetchone() is None:
                raise VersionConflict(f"the chunks of {edition} are gone")
        case ThreadCapacity() | StoreHasRoom():
            _check_room(cursor, guard)


def _check_room(cursor: sqlite3.Cursor, guard: ThreadCapacity | StoreHasRoom) -> None:
    match guard:
        case ThreadCapacity(thread_id, new, most):
            if _COUNT_MESSAGES.run(cursor, thread_id=thread_id).fetchone()[0] + new > most:
                raise thread_full(thread_id, most)
        case StoreHasRoom(store_id, new, most):
            held = _COUNT_STORE_FILES.run(cursor, row_id=store_id).fetchone()
            if held is None:
                raise VersionConflict(f"{store_id} is gone")
            check_store_room(held[0] + new, most)


def _write(cursor: sqlite3.Cursor, write: Write) -> None:
    match write:
        case Insert(row):
            _insert(type(row)).run(cursor, **_columns(cursor, row))
            _link(cursor, row, fresh=True)
        case Update(row, expected):
            done = _update(type(row)).run(cursor, row_id=row.id, expected=expected, **_columns(cursor, row))
            if done.rowcount != 1:
                raise VersionConflict(f"{row.id} is not version {expected} any more")
            _link(cursor, row, fresh=False)
        case Delete(kind, object_id, expected):
            parts = collect_parts(cursor, object_id) if kind is Thread else ()
            if _delete(kind).run(cursor, row_id=object_id, expected=expected).rowcount != 1:
                raise VersionConflict(f"{object_id} is gone or not version {expected} any more")
            _DELETE_LINKS.run(cursor, object_id=object_id)
            delete_unused(cursor, parts)
        case AddCounts(kind, object_id, change, used_at):
            values = {**s.counts_of(change.file_counts), "usage_bytes": change.usage_bytes}
            _add_counts(kind).run(cursor, row_id=object_id, last_active_at=used_at or 0, **values)


def _columns(cursor: sqlite3.Cursor, row: Row) -> dict[str, Any]:
    """All columns of a row; what a run shares with others is written."""
    stored = split_row(row)
    insert_parts(cursor, stored.parts)
    return stored.columns


def _link(cursor: sqlite3.Cursor, row: Row, *, fresh: bool) -> None:
    """Note which files an assistant or a thread names."""
    files = s.files_of(row)
    if files is None:
        return
    if not fresh:
        _DELETE_LINKS.run(cursor, object_id=row.id)
    for file_id in dict.fromkeys(files):
        _INSERT_LINK.run(cursor, file_id=file_id, object_id=row.id)


def _read_page(cursor: sqlite3.Cursor, kind: type[R], scope: Scope, query: PageQuery) -> tuple[list[RawRow], bool]:
    """The page's rows as they are stored, and whether the list goes on."""
    given = scope.column_values()
    filters, values = tuple(given), {"project": scope.project, **given}
    place: dict[str, int] = {}
    for param, cursor_id in (("after", query.after), ("before", query.before)):
        if cursor_id is None:
            continue
        at = _position(kind, filters).run(cursor, row_id=cursor_id, **values).fetchone()
        if at is None:
            raise InvalidRequest(
                f"No object found with id '{cursor_id}' in this list.", param=param, code="invalid_value"
            )
        place |= {f"{param}_at": at[0], f"{param}_ord": at[1]}
    shape = s.PageShape(kind, filters, query.order, query.after is not None, query.before is not None)
    found = _page(shape).run(cursor, rows=query.limit + 1, **values, **place)
    rows, has_more = take_page(found, query.limit, lambda row: row_size(kind, row))
    if s.is_reversed(shape):
        rows.reverse()
    return rows, has_more
