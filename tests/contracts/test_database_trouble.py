"""A SQLite file that somebody else locks or that cannot grow: who waits, for how long, and what is told."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.databases import prepared
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.error import DatabaseUnavailable
from threadmill.domain.ids import MessageId, ProjectId, ThreadId
from threadmill.domain.message import Message, MessageRole, TextPart
from threadmill.domain.thread import Thread
from threadmill.engine.ports.store import Insert, WriteSet

P, T = ProjectId("p"), ThreadId("thread_1")
PATIENCE = 0.3
WRITING = "writing to the database"


@contextmanager
def foreign_lock(path: Path) -> Generator[None]:
    """Another program's write transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "threadmill.db"


@pytest.fixture
def troubles() -> LoggedTroubles:
    return LoggedTroubles()


@pytest.fixture
async def store(file: Path, troubles: LoggedTroubles) -> AsyncGenerator[SqliteStore]:
    made = await SqliteStore.open(prepared(file), troubles, patience=PATIENCE)
    await made.apply(WriteSet((Insert(Thread(T, P, 1)),)))
    yield made
    await made.close()


async def put(store: SqliteStore, number: int, size: int = 1) -> None:
    text = (TextPart("x" * size),)
    await store.apply(WriteSet((Insert(Message(MessageId(f"msg_{number}"), P, T, 1, MessageRole.USER, text)),)))


async def refused(store: SqliteStore, number: int) -> float:
    """Seconds until a write is told that it cannot be."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="locked"):
        await put(store, number)
    return time.monotonic() - began


async def ended(troubles: LoggedTroubles) -> None:
    async with asyncio.timeout(20):
        while troubles.current():
            await asyncio.to_thread(lambda: None)


async def test_nobody_waits_longer_for_a_lock_than_patience_lasts_whenever_they_came(
    store: SqliteStore, file: Path, troubles: LoggedTroubles, caplog: pytest.LogCaptureFixture
) -> None:
    with foreign_lock(file):
        first = [asyncio.ensure_future(refused(store, number)) for number in range(20)]
        assert len(await store.history(T)) == 0, "reads go on"
        late = asyncio.ensure_future(refused(store, 20))
        waited = await asyncio.gather(*first, late)
        assert min(waited) >= PATIENCE
        assert max(waited) < 10 * PATIENCE, "each waits for its own time, not for that of those before it"
        assert troubles.current() == {WRITING: "database is locked."}
    await ended(troubles)
    await put(store, 21)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2, "once where it begins, not for each request, and once where it ends"
    assert told[0] == f"{WRITING.capitalize()} fails: database is locked."
    assert told[1].startswith(f"{WRITING.capitalize()} works again after ")


async def test_a_lock_that_is_let_go_in_time_is_no_trouble(
    store: SqliteStore, file: Path, troubles: LoggedTroubles
) -> None:
    with foreign_lock(file):
        waiting = asyncio.ensure_future(put(store, 1))
        await asyncio.to_thread(lambda: None)
    await waiting
    assert len(await store.history(T)) == 1
    assert troubles.current() == {}


async def test_a_write_that_is_wrong_itself_is_its_callers_to_see_and_hurts_no_other(
    store: SqliteStore, troubles: LoggedTroubles
) -> None:
    database = store._database  # pyright: ignore[reportPrivateUsage] - no statement of ours is wrong
    wrong = database.write(lambda cursor: cursor.execute("INSERT INTO no_such_table VALUES (1)"))
    outcomes = await asyncio.gather(wrong, put(store, 1), return_exceptions=True)
    assert isinstance(outcomes[0], sqlite3.OperationalError)
    assert outcomes[1] is None
    assert troubles.current() == {}


async def test_a_database_that_may_not_grow_is_a_trouble_until_it_may(
    store: SqliteStore, troubles: LoggedTroubles
) -> None:
    await store.set_max_pages(120)
    with pytest.raises(DatabaseUnavailable, match="full"):
        for number in range(100):
            await put(store, number, 20_000)
    assert troubles.current() == {WRITING: "database or disk is full."}
    await store.set_max_pages(100_000)
    await put(store, 101, 20_000)
    assert troubles.current() == {}
