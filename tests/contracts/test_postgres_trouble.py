"""A PostgreSQL that crashes, is away, or loses a connection at the worst moment: what is told, and what is true then."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.postgres import Server, fresh_database, server
from tests.support.waiting import until
from threadmill.adapters.postgres.opening import prepare
from threadmill.adapters.postgres.sole_use import HOLDING
from threadmill.adapters.postgres.store import PostgresStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.assistant import Assistant
from threadmill.domain.error import DatabaseUnavailable, InvalidRequest, Unavailable, VersionConflict
from threadmill.domain.ids import AssistantId, MessageId, ProjectId, RunId, ThreadId
from threadmill.domain.message import Message, MessageRole, TextPart
from threadmill.domain.run import Run
from threadmill.domain.thread import Thread
from threadmill.engine.ports.store import Insert, ThreadCapacity, ThreadIsFree, WriteSet

P, T = ProjectId("p"), ThreadId("thread_1")
USING = "using the database"


def message(number: int) -> WriteSet:
    return WriteSet((Insert(Message(MessageId(f"msg_{number}"), P, T, 1, MessageRole.USER, (TextPart("x"),))),))


@dataclass
class Wire:
    """What leads to PostgreSQL, and may be cut: when the server's answer to a COMMIT comes, or before it hears of it."""

    folder: Path
    target: Path
    cut: str = ""
    cuts: int = 0
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])
    _writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(str(self.target))
        self._writers += [writer, up_writer]
        committing = False

        async def up() -> None:
            nonlocal committing
            while data := await reader.read(65_536):
                committing = b"COMMIT\0" in data
                if committing and self.cut == "before":
                    break
                up_writer.write(data)
            self._end(up_writer, writer, was_cut=committing)

        async def down() -> None:
            while data := await up_reader.read(65_536):
                if committing and self.cut == "after":
                    self._end(up_writer, writer, was_cut=True)
                    return
                writer.write(data)
            self._end(up_writer, writer, was_cut=False)

        for work in (up(), down()):
            task = asyncio.ensure_future(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    def _end(self, *writers: asyncio.StreamWriter, was_cut: bool) -> None:
        self.cuts += was_cut and self.cut != ""
        self.cut = ""
        for writer in writers:
            writer.close()


@contextlib.asynccontextmanager
async def wired() -> AsyncGenerator[tuple[Wire, str]]:
    """A wire, and the URL of a database at its far end."""
    url = await fresh_database()
    socket = Path(url.partition("host=")[2])
    folder = Path(tempfile.mkdtemp(prefix="threadmill-wire-"))
    wire = Wire(folder, socket / ".s.PGSQL.5432")
    listening = await asyncio.start_unix_server(wire.serve, str(folder / ".s.PGSQL.5432"))
    yield wire, url.replace(str(socket), str(folder))
    listening.close()
    await wire.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_connection_that_goes_at_the_commit_neither_loses_nor_doubles_the_write(cut: str) -> None:
    async with wired() as (wire, url):
        store = await PostgresStore.open(url, LoggedTroubles())
        await store.apply(WriteSet((Insert(Thread(T, P, 1)),)))
        for number in range(3):
            wire.cut = cut
            assert await store.apply(message(number)) == 0
        assert wire.cuts == 3
        assert [one.id for one in await store.history(T)] == ["msg_0", "msg_1", "msg_2"]
        await store.close()


@pytest.fixture(scope="module")
def own_server() -> Generator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="threadmill-pg-"))
    made = Server(folder)
    yield made
    with contextlib.suppress(Exception):
        made.stop("immediate")
    shutil.rmtree(folder)


async def test_a_database_that_crashes_is_told_while_it_is_away_and_used_again_when_it_is_back(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = LoggedTroubles()
    store = await PostgresStore.open(own_server.url(), troubles, patience=0.2)
    await store.apply(WriteSet((Insert(Thread(T, P, 1)),)))
    await asyncio.gather(*(store.apply(message(number)) for number in range(20)))
    await asyncio.to_thread(own_server.stop, "immediate")
    with pytest.raises(DatabaseUnavailable, match="The database cannot be used right now"):
        await store.apply(message(20))
    with pytest.raises(DatabaseUnavailable):
        await store.history(T)
    assert USING in troubles.current()
    await asyncio.to_thread(own_server.start)
    await until("the database to be used again", lambda: not troubles.current())
    assert len(await store.history(T)) == 20
    await store.apply(message(20))
    await store.close()
    told = [text for text in caplog.messages if USING in text.lower()]
    assert len(told) == 2, "once where it begins and once where it ends"


async def test_a_database_that_restarts_within_a_requests_patience_is_no_trouble(own_server: Server) -> None:
    troubles = LoggedTroubles()
    store = await PostgresStore.open(own_server.url(), troubles, patience=15)
    await asyncio.to_thread(own_server.stop)
    reading = asyncio.ensure_future(store.get(Thread, P, "thread_none"))
    writing = asyncio.ensure_future(store.apply(WriteSet((Insert(Thread(ThreadId("thread_2"), P, 1)),))))
    await asyncio.to_thread(own_server.start)
    assert await reading is None
    assert await writing == 0
    assert USING not in troubles.current()
    await store.close()


async def test_two_servers_that_start_at_once_bring_the_schema_up_to_date_once() -> None:
    url = await fresh_database(is_empty=True)
    await asyncio.gather(*(prepare(url) for _ in range(3)))
    store = await PostgresStore.open(url, LoggedTroubles())
    with pytest.raises(Unavailable, match="Another threadmill server uses the PostgreSQL database"):
        await PostgresStore.open(url, LoggedTroubles())
    await store.close()
    await (await PostgresStore.open(url, LoggedTroubles())).close()


async def test_other_servers_are_kept_away_after_the_database_has_restarted_too(own_server: Server) -> None:
    troubles = LoggedTroubles()
    store = await PostgresStore.open(own_server.url(), troubles)
    await asyncio.to_thread(own_server.stop, "immediate")
    await until("the loss to be told", lambda: HOLDING in troubles.current())
    await asyncio.to_thread(own_server.start)
    await until("the lock to be held again", lambda: HOLDING not in troubles.current())
    with pytest.raises(Unavailable, match="Another threadmill server uses the PostgreSQL database"):
        await PostgresStore.open(own_server.url(), LoggedTroubles())
    await store.close()


async def test_writers_that_would_break_a_guard_together_come_one_after_the_other() -> None:
    store = await PostgresStore.open(await fresh_database(), LoggedTroubles())
    await store.apply(WriteSet((Insert(Thread(T, P, 1)),)))
    run = WriteSet((Insert(Run(RunId("run_1"), P, T, AssistantId("a"), 1, "m")),))
    free = [WriteSet(message(number).writes, (ThreadIsFree(T),)) for number in range(8)]
    done = await asyncio.gather(*map(store.apply, free), store.apply(run), return_exceptions=True)
    assert {type(one) for one in done} <= {int, VersionConflict}
    assert done[-1] == 0
    before = len(await store.history(T))
    full = [WriteSet(message(number).writes, (ThreadCapacity(T, 1, before + 2),)) for number in range(10, 20)]
    await asyncio.gather(*map(store.apply, full), return_exceptions=True)
    assert len(await store.history(T)) == before + 2
    await store.close()


async def test_whoever_is_cancelled_leaves_its_write_to_stand() -> None:
    url = await fresh_database()
    store = await PostgresStore.open(url, LoggedTroubles())
    asking = asyncio.ensure_future(store.apply(WriteSet((Insert(Thread(T, P, 1)),))))
    for _ in range(3):
        await asyncio.to_thread(lambda: None)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await store.close()  # behind what is under way
    again = await PostgresStore.open(url, LoggedTroubles())
    assert await again.get(Thread, P, T) is not None
    await again.close()


async def test_a_nul_is_refused_where_it_would_be_kept_and_finds_nothing_where_it_is_looked_for() -> None:
    store = await PostgresStore.open(await fresh_database(), LoggedTroubles())
    assert await store.get(Assistant, P, "asst\0") is None
    with pytest.raises(InvalidRequest, match="NUL"):
        run = Run(RunId("run_1"), P, T, AssistantId("a"), 1, "m\0")
        await store.apply(WriteSet((Insert(Thread(T, P, 1)), Insert(run))))
    assert await store.get(Thread, P, T) is None
    await store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://postgres@/none?host={folder}", "There is no PostgreSQL database none"),
        ("postgresql://stranger:hidden@/postgres?host={folder}", "refuses the user or the password"),
        ("postgresql://u:hidden@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://u:hidden@h:port/x", "cannot be read as a PostgreSQL URL"),
    ],
)
async def test_a_start_that_fails_says_what_to_do_and_never_the_password(url: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said) as failed:
        await PostgresStore.open(url.format(folder=server().folder), LoggedTroubles())
    told: Any = failed.value
    assert "hidden" not in f"{told} {told.__cause__}"


async def test_a_schema_of_a_newer_version_is_left_as_it_is() -> None:
    url = await fresh_database()
    raw = await asyncpg.connect(url)
    await raw.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    with pytest.raises(Unavailable, match="written by a newer version of threadmill"):
        await PostgresStore.open(url, LoggedTroubles())
    assert await raw.fetchval("SELECT version_num FROM alembic_version") == "from_the_future"
    await raw.close()
