"""The Store and RunQueue ports on PostgreSQL. It keeps no rows: another server may have changed them (design 3.15)."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from typing import Any

import msgspec
from sqlalchemy import JSON, String, bindparam, cast, func, select

from threadmill.adapters.postgres import writes
from threadmill.adapters.postgres.chunks import PostgresChunks
from threadmill.adapters.postgres.database import PATIENCE, Database, Transaction
from threadmill.adapters.postgres.file_index import PostgresFileIndex
from threadmill.adapters.postgres.opening import hold_alone, open_pool
from threadmill.adapters.postgres.retention import PostgresRetention
from threadmill.adapters.postgres.sole_use import SoleUse
from threadmill.adapters.postgres.statement import Statement
from threadmill.adapters.sql import statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.event_codec import read_events
from threadmill.adapters.sql.readable import ReadableTables, by_last
from threadmill.adapters.sql.rows import join_row, row_size
from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import Instant, ProjectId, RunId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.page import Page, PageQuery, take_page
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.vector_store import VectorStoreFile
from threadmill.engine.ports.store import R, Row, Scope, StoredEvent, WriteSet
from threadmill.engine.ports.troubles import Troubles


@cache
def _get(kind: type[Row]) -> Statement:
    return Statement(s.row_by_id(kind))


@cache
def _position(kind: type[Row], filters: tuple[str, ...]) -> Statement:
    return Statement(s.cursor_position(kind, filters))


@cache
def _page(shape: s.PageShape) -> Statement:
    return Statement(s.page(shape))


_HISTORY = Statement(s.HISTORY)
_STEPS = Statement(s.STEPS)
_ACTIVE_RUN = Statement(s.ACTIVE_RUN)
_EVENTS = Statement(s.EVENTS)
_RUN_OF_EVENTS = Statement(s.RUN_OF_EVENTS)
_BESIDES = select(func.json_array_elements_text(cast(bindparam("besides", type_=String), JSON)))
_WAITING = Statement(s.waiting(_BESIDES))
_LAPSED = Statement(s.LAPSED)
_OVERDUE = Statement(s.OVERDUE)
_EXTEND_LEASE = Statement(s.EXTEND_LEASE)


class PostgresStore:
    """See the ports `Store` and `RunQueue`."""

    def __init__(self, database: Database, sole_use: SoleUse | None = None) -> None:
        self._database: Database = database
        self._sole_use: SoleUse | None = sole_use
        self._readable: ReadableTables = ReadableTables()
        self.files: PostgresFileIndex = PostgresFileIndex(database, self._readable)
        self.retention: PostgresRetention = PostgresRetention(database)
        self.chunks: PostgresChunks = PostgresChunks(database, self._readable.of(VectorStoreFile))

    @classmethod
    async def open(cls, url: str, troubles: Troubles, patience: float = PATIENCE) -> "PostgresStore":
        """Connect and bring the schema up to date; `patience`: seconds a request waits for a database that is away.

        Raises Unavailable with what to do next; no message has the password.
        """
        pool = await open_pool(url)
        try:
            sole_use = await hold_alone(url, troubles)
        except BaseException:
            pool.terminate()
            raise
        return cls(Database(pool, troubles, patience), sole_use)

    async def close(self) -> None:
        """Finish pending writes and let go of the connections."""
        await self._database.close()
        if self._sole_use is not None:
            await self._sole_use.close()

    async def apply(self, write_set: WriteSet) -> int:
        """See the port."""
        return await self._database.write(lambda t: writes.apply(t, write_set))

    async def get(self, kind: type[R], project: ProjectId, object_id: str) -> R | None:
        """See the port."""
        found = await self._database.rows(_get(kind), row_id=object_id, project=project)
        return self._readable.of(kind).read_one(object_id, found[0], partial(join_row, kind)) if found else None

    async def page(self, kind: type[R], scope: Scope, query: PageQuery) -> Page[R]:
        """See the port."""
        given = scope.column_values()
        filters, values = tuple(given), {"project": scope.project, **given}
        place = await self._place(_position(kind, filters), query, values)
        shape = s.PageShape(kind, filters, query.order, query.after is not None, query.before is not None)
        found = await self._database.rows(_page(shape), rows=query.limit + 1, **values, **place)
        rows, has_more = take_page(found, query.limit, lambda row: row_size(kind, row))
        if s.is_reversed(shape):
            rows.reverse()
        return Page(self._readable.of(kind).read(by_last(rows), partial(join_row, kind)), has_more)

    async def _place(self, position: Statement, query: PageQuery, values: Mapping[str, str]) -> dict[str, int]:
        """Where the query's cursors stand."""
        place: dict[str, int] = {}
        for param, cursor_id in (("after", query.after), ("before", query.before)):
            if cursor_id is None:
                continue
            at = await self._database.rows(position, row_id=cursor_id, **values)
            if not at:
                text = f"No object found with id '{cursor_id}' in this list."
                raise InvalidRequest(text, param=param, code="invalid_value")
            place |= {f"{param}_at": at[0][0], f"{param}_ord": at[0][1]}
        return place

    async def history(self, thread_id: ThreadId, newest: int | None = None) -> Sequence[Message]:
        """See the port."""
        found = await self._database.rows(_HISTORY, thread_id=thread_id, rows=newest)
        found.reverse()
        return self._readable.of(Message).read(by_last(found), lambda row: decode(Message, row[0]))

    async def steps(self, run_id: RunId) -> Sequence[RunStep]:
        """See the port."""
        return [decode(RunStep, data) for (data,) in await self._database.rows(_STEPS, run_id=run_id)]

    async def active_run(self, thread_id: ThreadId) -> Run | None:
        """See the port."""
        found = await self._database.rows(_ACTIVE_RUN, thread_id=thread_id)
        return self._readable.of(Run).read_one(found[0][-1], found[0], partial(join_row, Run)) if found else None

    async def events(self, run_id: RunId, after: int = 0) -> Sequence[StoredEvent]:
        """See the port."""

        async def read(t: Transaction) -> list[StoredEvent]:
            # One back: an event that repeats the one before it stores nothing.
            rows = await t.rows(_EVENTS, run_id=run_id, after=after - 1)
            run = await t.rows(_RUN_OF_EVENTS, run_id=run_id) if rows else []
            return read_events(join_row(Run, run[0]), [(row[0], row[1], row[2]) for row in rows], after) if run else []

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

    async def _read_runs(self, statement: Statement, limit: int, **parameters: Any) -> list[Run]:
        readable = self._readable.of(Run)
        found = await self._database.rows(statement, rows=readable.to_read(limit), **parameters)
        return readable.read(by_last(found), partial(join_row, Run))[:limit]

    async def extend_leases(self, claims: Mapping[RunId, int], until: Instant) -> frozenset[RunId]:
        """See the port."""

        async def write(t: Transaction) -> frozenset[RunId]:
            # In one order on every server: two that meet wait for each other and not in a circle.
            lost = [
                run_id
                for run_id, epoch in sorted(claims.items())
                if await t.count(_EXTEND_LEASE, row_id=run_id, held=epoch, until=until) != 1
            ]
            return frozenset(lost)

        return await self._database.write(write)
