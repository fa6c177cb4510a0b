"""One PostgreSQL: its pool of connections, transactions, and what becomes of them in trouble. Knows no objects.

A lost connection is made anew for as long as a request may wait, then it is told. A transaction whose connection went
at the commit may have been committed or not: that is asked, by the transaction's number, before anything is said.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import asyncpg

from threadmill.adapters.postgres.failure import LOST, failure, is_lost, reason
from threadmill.adapters.postgres.statement import Statement
from threadmill.domain.error import DatabaseUnavailable, VersionConflict
from threadmill.engine.ports.troubles import Troubles

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

PATIENCE = 3.0
"""Seconds a request waits for a database that does not answer, if nothing else is set."""

RETRY_SECONDS = 0.05
"""Between two attempts to reach it; a second while nobody waits."""

PROBE_SECONDS = 1.0

MAX_DEADLOCKS = 8
"""How often a transaction is begun anew because two waited for each other."""

USING = "using the database"

_STATUS = "SELECT pg_xact_status($1::text::xid8)"
_END_IT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_xid::text = $2"


class Transaction:
    """Statements inside one."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = connection

    async def rows(self, statement: Statement, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        found = await self._connection.fetch(statement.sql, *statement.arguments(parameters))
        return [tuple(row) for row in found]

    async def count(self, statement: Statement, **parameters: Any) -> int:
        """How many rows it changed."""
        done = await self._connection.execute(statement.sql, *statement.arguments(parameters))
        return int(done.rpartition(" ")[2])

    async def each(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> None:
        """The statement once for each of `rows`, in one message."""
        await self._connection.executemany(statement.sql, [statement.arguments(row) for row in rows])


class _OutcomeUnknown(Exception):
    """The connection went while the commit was under way."""

    def __init__(self, xid: str, backend: int, done: Any) -> None:
        super().__init__(xid)
        self.xid: str = xid
        self.backend: int = backend
        self.done: Any = done


class Database:
    """`patience`: seconds a read or a write waits for a server that is away."""

    def __init__(self, pool: Pool, troubles: Troubles, patience: float) -> None:
        self._pool: Pool = pool
        self._troubles: Troubles = troubles
        self._patience: float = patience
        self._writing: set[asyncio.Task[Any]] = set()
        self._probing: asyncio.Task[None] | None = None

    async def rows(self, statement: Statement, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of one statement; they show every acknowledged write. Raises Unavailable."""
        if _has_nul(parameters):  # no text of PostgreSQL's holds one, so no row does
            return []
        return await self.read(lambda connection: connection.rows(statement, **parameters))

    async def read(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work`, which writes nothing, on one connection. Raises Unavailable."""
        return await self._patiently(lambda: self._read(work))

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a durable transaction, from its beginning again when the connection is lost before its end.

        Whoever asks may be cancelled meanwhile: the write stands. Raises what `work` raises, VersionConflict when a
        constraint does not hold, and Unavailable.
        """
        task = asyncio.ensure_future(self._patiently(lambda: self._write(work)))
        self._writing.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        _ = task.cancelled() or task.exception()  # its caller may be gone

    async def close(self) -> None:
        """Finish what is under way, then let go of the connections."""
        if self._probing is not None:
            self._probing.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)
        try:
            await asyncio.wait_for(self._pool.close(), self._patience)
        except LOST:
            self._pool.terminate()

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        deadline, deadlocks = time.monotonic() + self._patience, 0
        while True:
            try:
                done = await attempt()
            except _OutcomeUnknown as unknown:
                if await self._was_committed(unknown, deadline):
                    return unknown.done
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                deadlocks += 1
                if deadlocks == MAX_DEADLOCKS:
                    raise DatabaseUnavailable("The database cannot be used right now: too many wait.") from error
            except asyncpg.IntegrityConstraintViolationError as error:
                raise VersionConflict(f"a constraint was broken: {reason(error)}") from error
            except Exception as error:
                if not is_lost(error):
                    raise failure(error) from error
                await self._wait_or_tell(error, deadline)
            else:
                return done

    async def _wait_or_tell(self, error: Exception, deadline: float) -> None:
        if time.monotonic() + RETRY_SECONDS >= deadline:
            self._note_failure(error)
            raise failure(error) from error
        await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._pool.acquire(timeout=self._patience) as connection:
            return await work(Transaction(connection))

    async def _write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._pool.acquire(timeout=self._patience) as connection:
            await connection.execute("BEGIN")
            try:
                done = await work(Transaction(connection))
                xid: str | None = await connection.fetchval("SELECT pg_current_xact_id_if_assigned()::text")
            except BaseException:
                await _roll_back(connection)
                raise
            backend = connection.get_server_pid()
            try:
                await connection.execute("COMMIT")
            except Exception as error:
                if xid is None or not is_lost(error):
                    raise
                raise _OutcomeUnknown(xid, backend, done) from error
            return done

    async def _was_committed(self, unknown: _OutcomeUnknown, deadline: float) -> bool:
        """What became of a transaction. Raises DatabaseUnavailable while that cannot be found out."""
        while True:
            try:
                status = await self._ask(unknown)
            except Exception as error:
                if not is_lost(error):
                    raise failure(error) from error
                await self._wait_or_tell(error, deadline)
                continue
            if status in ("committed", "aborted"):
                return status == "committed"
            await self._wait_or_tell(DatabaseUnavailable("its last word is not known."), deadline)

    async def _ask(self, unknown: _OutcomeUnknown) -> str | None:
        async with self._pool.acquire(timeout=self._patience) as connection:
            status: str | None = await connection.fetchval(_STATUS, unknown.xid)
            if status == "in progress":
                # The server still waits for a word from the connection that went: it shall not come later.
                await connection.execute(_END_IT, unknown.backend, str(int(unknown.xid) & 0xFFFFFFFF))
            return status

    def _note_failure(self, error: Exception) -> None:
        self._troubles.begin(USING, f"{reason(error)}.")
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe(), name="database probe")

    async def _probe(self) -> None:
        """Write a row as it is until that works: then the trouble is over, without anybody's help."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                async with self._pool.acquire(timeout=self._patience) as connection:
                    await connection.execute("UPDATE alembic_version SET version_num = version_num")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not over
                self._troubles.begin(USING, f"{reason(error)}.")
            else:
                self._troubles.end(USING)
                return


async def _roll_back(connection: Connection) -> None:
    if not connection.is_closed():
        with suppress(*LOST):  # with its connection the transaction is gone
            await connection.execute("ROLLBACK")


def _has_nul(parameters: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and "\0" in value for value in parameters.values())
