"""What every Store and RunQueue keeps: one suite, run on memory, SQLite and PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.support.databases import prepared
from tests.support.postgres import fresh_database
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.postgres.store import PostgresStore
from threadmill.adapters.sqlite.database import DatabaseInUse
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.assistant import Assistant
from threadmill.domain.error import InvalidRequest, ThreadFull, Unavailable, VersionConflict
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import AssistantId, MessageId, ProjectId, RunId, RunStepId, ThreadId
from threadmill.domain.message import Message, MessageRole, TextPart
from threadmill.domain.outcome import Usage
from threadmill.domain.page import MAX_PAGE_BYTES, Order, PageQuery
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.run_record import Milliseconds, ModelSpan, ToolSpan
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.domain.thread import Thread
from threadmill.domain.tool import FunctionTool
from threadmill.engine.ports.store import (
    Delete,
    EpochGuard,
    Insert,
    Scope,
    ThreadCapacity,
    ThreadIsFree,
    Update,
    WriteSet,
)

P, OTHER = ProjectId("p"), ProjectId("other")
T = ThreadId("thread_1")

AnyStore = MemoryStore | SqliteStore | PostgresStore


@asynccontextmanager
async def opened(kind: str, path: Path) -> AsyncGenerator[AnyStore, None]:
    if kind == "memory":
        yield MemoryStore()
        return
    store: PostgresStore | SqliteStore
    if kind == "postgres":
        store = await PostgresStore.open(await fresh_database(), LoggedTroubles())
    else:
        store = await SqliteStore.open(prepared(path / "threadmill.db"), LoggedTroubles())
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[AnyStore, None]:
    async with opened(request.param, tmp_path) as made:
        yield made


def thread(name: str = T) -> Thread:
    return Thread(ThreadId(name), P, 1)


def run(name: str = "run_1", status: RunStatus = RunStatus.QUEUED, **fields: int | None) -> Run:
    made = Run(RunId(name), P, T, AssistantId("asst_1"), 1, "m", status=status)
    return replace(made, **fields)  # pyright: ignore[reportArgumentType] - integers for integer fields


def message(name: str, at: int = 1, thread_id: ThreadId = T) -> Message:
    return Message(MessageId(name), P, thread_id, at, MessageRole.USER, (TextPart(name),))


async def put(store: AnyStore, *rows: Thread | Run | Message | RunStep | Assistant) -> None:
    await store.apply(WriteSet(tuple(Insert(row) for row in rows)))


async def test_what_was_written_is_read_back_whole(store: AnyStore) -> None:
    step = RunStep(RunStepId("step_1"), P, T, RunId("run_1"), AssistantId("a"), 1, RunStepType.TOOL_CALLS)
    assistant = Assistant(AssistantId("asst_1"), P, 1, "m", metadata={"ä": "ö"})
    await put(store, thread(), run(), step, message("msg_1"), assistant)
    assert await store.get(Thread, P, T) == thread()
    assert await store.get(Run, P, "run_1") == run()
    assert await store.get(RunStep, P, "step_1") == step
    assert await store.get(Message, P, "msg_1") == message("msg_1")
    assert await store.get(Assistant, P, "asst_1") == assistant
    assert await store.steps(RunId("run_1")) == [step]


async def test_a_project_never_sees_anothers_rows(store: AnyStore) -> None:
    await put(store, thread(), run())
    assert await store.get(Thread, OTHER, T) is None
    assert await store.get(Run, OTHER, "run_1") is None
    assert (await store.page(Thread, Scope(OTHER), PageQuery())).items == []


async def test_an_id_of_another_kind_is_not_found(store: AnyStore) -> None:
    await put(store, thread())
    assert await store.get(Run, P, T) is None


async def test_an_update_of_a_stale_version_changes_nothing(store: AnyStore) -> None:
    await put(store, thread())
    await store.apply(WriteSet((Update(replace(thread(), version=2), 1),)))
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((Insert(message("msg_1")), Update(replace(thread(), version=2), 1))))
    assert await store.get(Message, P, "msg_1") is None


async def test_of_many_updates_of_one_version_one_wins(store: AnyStore) -> None:
    await put(store, thread())
    update = WriteSet((Update(replace(thread(), version=2), 1),))
    results = await asyncio.gather(*(store.apply(update) for _ in range(20)), return_exceptions=True)
    assert results.count(0) == 1
    assert sum(isinstance(result, VersionConflict) for result in results) == 19


async def test_a_thread_has_at_most_one_active_run(store: AnyStore) -> None:
    await put(store, thread())
    writes = [WriteSet((Insert(run(f"run_{n}")),)) for n in range(10)]
    results = await asyncio.gather(*(store.apply(write) for write in writes), return_exceptions=True)
    assert results.count(0) == 1
    active = await store.active_run(T)
    assert active is not None
    done = replace(active, status=RunStatus.COMPLETED, version=2)
    await store.apply(WriteSet((Update(done, 1),)))
    assert await store.active_run(T) is None
    await put(store, run("run_new"))


async def test_a_free_thread_is_guarded(store: AnyStore) -> None:
    guarded = WriteSet((Insert(message("msg_1")),), (ThreadIsFree(T),))
    with pytest.raises(VersionConflict):
        await store.apply(guarded)
    await put(store, thread(), run())
    with pytest.raises(VersionConflict):
        await store.apply(guarded)


async def test_a_fence_keeps_an_old_claim_out(store: AnyStore) -> None:
    await put(store, thread(), run(epoch=2))
    await store.apply(WriteSet((Insert(message("msg_1")),), (EpochGuard(RunId("run_1"), 2),)))
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((Insert(message("msg_2")),), (EpochGuard(RunId("run_1"), 1),)))
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((), (EpochGuard(RunId("run_gone"), 1),)))


async def test_rows_of_a_missing_thread_are_refused(store: AnyStore) -> None:
    with pytest.raises(VersionConflict):
        await put(store, message("msg_1"))


async def test_a_deleted_thread_takes_everything_with_it(store: AnyStore) -> None:
    await put(store, thread(), run(), message("msg_1"))
    await store.apply(WriteSet((), (), RunId("run_1"), (Event(EventName.RUN_CREATED, run()),)))
    await store.apply(WriteSet((Delete(Thread, T),)))
    assert await store.get(Run, P, "run_1") is None
    assert await store.get(Message, P, "msg_1") is None
    assert await store.events(RunId("run_1")) == []
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((Delete(Thread, T),)))


async def test_a_log_has_no_gaps_and_no_repeats(store: AnyStore) -> None:
    await put(store, thread(), run())
    event = Event(EventName.RUN_QUEUED, run())
    writes = [WriteSet((), (), RunId("run_1"), (event,) * (n % 3 + 1)) for n in range(30)]
    firsts = await asyncio.gather(*(store.apply(write) for write in writes))
    stored = await store.events(RunId("run_1"))
    assert [one.seq for one in stored] == list(range(1, 61))
    assert min(firsts) == 1
    assert len(set(firsts)) == 30
    assert stored[0].event == event
    assert [one.seq for one in await store.events(RunId("run_1"), after=58)] == [59, 60]


async def test_a_log_is_read_back_as_it_was_told_from_anywhere(store: AnyStore) -> None:
    tools = tuple(FunctionTool(f"tool_{n}", "words " * 50) for n in range(3))
    born = replace(run(temperature=1), instructions="Be kind. " * 30, tools=tools, metadata={"a": "1"}, expires_at=9)
    step = RunStep(RunStepId("step_1"), P, T, born.id, born.assistant_id, 2, RunStepType.MESSAGE_CREATION)
    answer = replace(message("msg_1", 3), run_id=born.id, assistant_id=born.assistant_id)
    said = replace(answer, content=(TextPart("Yes."),), metadata={"b": "2"}, version=2)
    over = replace(born, status=RunStatus.COMPLETED, metadata={}, expires_at=None, started_at=2, version=3)
    events = [
        *(Event(name, thread()) for name in (EventName.THREAD_CREATED,)),
        *(Event(name, born) for name in (EventName.RUN_CREATED, EventName.RUN_QUEUED, EventName.RUN_IN_PROGRESS)),
        *(Event(name, step) for name in (EventName.STEP_CREATED, EventName.STEP_IN_PROGRESS)),
        *(Event(name, answer) for name in (EventName.MESSAGE_CREATED, EventName.MESSAGE_IN_PROGRESS)),
        Event(EventName.MESSAGE_COMPLETED, said),
        Event(EventName.RUN_COMPLETED, over),
    ]
    await store.apply(WriteSet((Insert(thread()), Insert(born)), (), born.id, tuple(events[:5])))
    await store.apply(WriteSet((Update(over, 1),), (), born.id, tuple(events[5:])))
    await store.apply(WriteSet((Update(replace(over, metadata={"c": "3"}, version=4), 3),)))
    for after in range(len(events) + 1):
        found = await store.events(born.id, after)
        assert [one.seq for one in found] == list(range(after + 1, len(events) + 1))
        assert [repr(one.event) for one in found] == [repr(event) for event in events[after:]]


async def test_pages_of_runs_hold_what_they_share_with_others(store: AnyStore) -> None:
    same = {"instructions": "Be kind. " * 30, "tools": (FunctionTool("f", "words " * 50),)}
    runs = [replace(run(f"run_{n}", RunStatus.COMPLETED), **same) for n in range(3)]  # pyright: ignore[reportArgumentType] - one value for each field
    await put(store, thread(), *runs)
    assert list((await store.page(Run, Scope(P, T), PageQuery(order=Order.ASC))).items) == runs


@pytest.mark.parametrize("order", list(Order))
async def test_pages_join_to_the_whole_list_also_within_one_second(store: AnyStore, order: Order) -> None:
    names = [f"msg_{n:02}" for n in range(25)]
    await put(store, thread(), *(message(name, at=1 + n // 10) for n, name in enumerate(names)))
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await store.page(Message, Scope(P, T), PageQuery(limit=7, order=order, after=after))
        seen += [item.id for item in page.items]
        after = seen[-1]
        if not page.has_more:
            break
    assert seen == (names if order is Order.ASC else names[::-1])


async def test_a_page_ends_before_its_rows_are_too_many_bytes_but_has_one(store: AnyStore) -> None:
    text = "x" * (MAX_PAGE_BYTES // 3)
    long = [replace(message(f"msg_{n}"), content=(TextPart(text * (4 if n == 2 else 1)),)) for n in range(5)]
    await put(store, thread(), *long)
    seen, more = list[list[str]](), list[bool]()
    after: str | None = None
    for _ in range(3):
        page = await store.page(Message, Scope(P, T), PageQuery(order=Order.ASC, after=after))
        seen.append([item.id for item in page.items])
        more.append(page.has_more)
        after = seen[-1][-1]
    assert seen == [["msg_0", "msg_1"], ["msg_2"], ["msg_3", "msg_4"]]
    assert more == [True, True, False]
    page = await store.page(Message, Scope(P, T), PageQuery(order=Order.ASC, before="msg_4"))
    assert ([item.id for item in page.items], page.has_more) == (["msg_3"], True)


async def test_before_gives_what_stands_right_in_front(store: AnyStore) -> None:
    await put(store, thread(), *(message(f"msg_{n}") for n in range(6)))
    page = await store.page(Message, Scope(P, T), PageQuery(limit=2, before="msg_1"))
    assert [item.id for item in page.items] == ["msg_3", "msg_2"]
    assert page.has_more
    page = await store.page(Message, Scope(P, T), PageQuery(limit=9, order=Order.ASC, before="msg_2"))
    assert ([item.id for item in page.items], page.has_more) == (["msg_0", "msg_1"], False)
    page = await store.page(Message, Scope(P, T), PageQuery(limit=9, after="msg_4", before="msg_1"))
    assert [item.id for item in page.items] == ["msg_3", "msg_2"]


async def test_a_cursor_from_another_list_is_refused(store: AnyStore) -> None:
    other = ThreadId("thread_2")
    await put(store, thread(), thread(other), message("msg_1"), message("msg_2", thread_id=other))
    with pytest.raises(InvalidRequest) as refused:
        await store.page(Message, Scope(P, T), PageQuery(after="msg_2"))
    assert refused.value.param == "after"


async def test_messages_can_be_asked_for_by_run(store: AnyStore) -> None:
    ours = replace(message("msg_2"), run_id=RunId("run_1"))
    await put(store, thread(), message("msg_1"), ours)
    page = await store.page(Message, Scope(P, T, RunId("run_1")), PageQuery())
    assert page.items == [ours]


async def test_history_is_oldest_first_and_can_be_cut(store: AnyStore) -> None:
    await put(store, thread(), *(message(f"msg_{n}") for n in range(5)))
    assert [one.id for one in await store.history(T)] == [f"msg_{n}" for n in range(5)]
    assert [one.id for one in await store.history(T, 2)] == ["msg_3", "msg_4"]
    assert [one.id for one in await store.history(T, 9)] == [f"msg_{n}" for n in range(5)]


async def test_the_queue_shows_what_waits_lapsed_and_is_overdue(store: AnyStore) -> None:
    await put(store, thread(), run(expires_at=50))
    assert [one.id for one in await store.queued(5)] == ["run_1"]
    assert await store.lease_expired(100, 5) == []
    assert await store.overdue(49, 5) == []
    assert [one.id for one in await store.overdue(50, 5)] == ["run_1"]
    started = replace(run(expires_at=50), status=RunStatus.IN_PROGRESS, epoch=1, lease_until=10, version=2)
    await store.apply(WriteSet((Update(started, 1),)))
    assert await store.queued(5) == []
    assert await store.lease_expired(10, 5) == []
    assert [one.id for one in await store.lease_expired(11, 5)] == ["run_1"]


async def test_a_heartbeat_extends_only_its_own_claim(store: AnyStore) -> None:
    await put(store, thread(), run(status=RunStatus.IN_PROGRESS, epoch=3, lease_until=10))
    assert await store.extend_leases({RunId("run_1"): 2}, 99) == {"run_1"}
    assert await store.extend_leases({RunId("run_1"): 3, RunId("run_gone"): 1}, 99) == {"run_gone"}
    held = await store.get(Run, P, "run_1")
    assert held is not None
    assert (held.lease_until, held.version) == (99, 1)
    assert [one.lease_until for one in await store.overdue(10**9, 5)] == []
    assert await store.lease_expired(50, 5) == []
    assert await store.extend_leases({}, 99) == frozenset()


async def test_a_run_that_cannot_be_read_is_told_once_and_hurts_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "threadmill.db"
    made = await SqliteStore.open(path, LoggedTroubles())
    other = replace(run("run_2"), thread_id=ThreadId("thread_2"))
    await put(made, thread(), run(), thread("thread_2"), other)
    await made.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE runs SET data = '{}' WHERE id = 'run_1'")
        raw.commit()
    again = await SqliteStore.open(path, LoggedTroubles())
    assert await again.queued(1) == []
    for limit in (1, 10, 10):
        assert [one.id for one in await again.queued(limit)] == ["run_2"], "the bad row takes nobody's place"
    await again.close()
    assert [text for text in caplog.messages if "cannot be read" in text] == [
        "run run_1 cannot be read and is left alone (ValueError)"
    ]


async def test_what_runs_share_goes_with_the_last_of_them(tmp_path: Path) -> None:
    def shared() -> int:
        with closing(sqlite3.connect(tmp_path / "threadmill.db")) as raw:
            return raw.execute("SELECT count(*) FROM shared_parts").fetchone()[0]

    async with opened("sqlite", tmp_path) as store:
        done = run("run_1", RunStatus.COMPLETED)
        kind = replace(done, instructions="Be kind. " * 30, tools=(FunctionTool("f", "words " * 50),))
        other = replace(kind, id=RunId("run_2"), thread_id=ThreadId("thread_2"))
        await put(store, thread(), kind, thread("thread_2"), other)
        await put(store, replace(other, id=RunId("run_3"), instructions="Be brief. " * 30))
        assert shared() == 3
        await store.apply(WriteSet((Delete(Thread, ThreadId("thread_2")),)))
        assert shared() == 2
        assert await store.get(Run, P, "run_1") == kind
        await store.apply(WriteSet((Delete(Thread, T),)))
        assert shared() == 0


async def test_a_run_and_its_log_of_an_older_version_are_read_and_go_on(tmp_path: Path) -> None:
    old = replace(run(), instructions="Be kind. " * 30, tools=(FunctionTool("f", "words " * 50),))
    async with opened("sqlite", tmp_path) as store:
        await put(store, thread(), run())
    with closing(sqlite3.connect(tmp_path / "threadmill.db")) as raw, raw:
        whole = msgspec.json.encode(old)  # as it was written then
        raw.execute("UPDATE runs SET data = ?", (whole,))
        for seq, name in enumerate(("thread.run.created", "thread.run.queued"), 1):
            raw.execute("INSERT INTO run_events VALUES ('run_1', ?, ?, ?)", (seq, name, whole))
    after = replace(old, status=RunStatus.IN_PROGRESS, version=2)
    begun = Event(EventName.RUN_IN_PROGRESS, after)
    async with opened("sqlite", tmp_path) as store:
        assert await store.get(Run, P, "run_1") == old
        await store.apply(WriteSet((Update(after, 1),), (), old.id, (begun,)))
    async with opened("sqlite", tmp_path) as store:
        assert await store.get(Run, P, "run_1") == after
        assert [one.event.subject for one in await store.events(old.id)] == [old, old, after]


async def test_a_runs_record_is_there_after_a_reopen_and_its_log_shows_it_too(tmp_path: Path) -> None:
    spans = (
        ModelSpan(Milliseconds(1), Milliseconds(3), "u", Milliseconds(2), 4, 1, "stop", Usage(1, 2), ("busy",), "why"),
        ToolSpan(Milliseconds(4), Milliseconds(5), "call_1", "file_search"),
    )
    made = replace(run(), record=spans)
    async with opened("sqlite", tmp_path) as store:
        await store.apply(
            WriteSet((Insert(thread()), Insert(made)), run_id=made.id, events=(Event(EventName.RUN_CREATED, made),))
        )
    async with opened("sqlite", tmp_path) as store:
        found = await store.get(Run, P, "run_1")
        assert found is not None
        assert found.record == spans
        (event,) = await store.events(made.id)
        assert isinstance(event.event.subject, Run)
        assert event.event.subject.record == spans


async def test_everything_acknowledged_is_there_after_a_reopen(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        await put(store, thread())
        await asyncio.gather(*(put(store, message(f"msg_{n}")) for n in range(100)))
    async with opened("sqlite", tmp_path) as store:
        assert len(await store.history(T)) == 100


async def test_a_second_server_on_the_same_file_is_told_what_to_do(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path):
        with pytest.raises(DatabaseInUse, match="Stop it, or start this one with another --data-dir"):
            await SqliteStore.open(tmp_path / "threadmill.db", LoggedTroubles())


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "threadmill.db").write_bytes(b"not a database at all, only text" * 100)
    with pytest.raises(Unavailable, match="--data-dir"):
        await SqliteStore.open(tmp_path / "threadmill.db", LoggedTroubles())


async def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "threadmill.db", LoggedTroubles())
    await store.close()
    assert (tmp_path / "threadmill.db").stat().st_mode & 0o077 == 0


async def test_a_full_disk_refuses_the_write_and_keeps_what_was_there(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        assert isinstance(store, SqliteStore)
        await put(store, thread())
        await store.set_max_pages(120)
        with pytest.raises(Unavailable, match="full"):
            for n in range(100):
                await put(store, replace(message(f"msg_{n}"), content=(TextPart("x" * 20_000),)))
        kept = len(await store.history(T))
        assert kept > 0
        await store.set_max_pages(100_000)
        await put(store, message("msg_after"))
        assert len(await store.history(T)) == kept + 1


async def test_a_thread_holds_as_many_messages_as_it_may_and_not_one_more(store: AnyStore) -> None:
    await store.apply(WriteSet((Insert(thread()), Insert(message("msg_1"))), (ThreadCapacity(T, 1, 2),)))
    await store.apply(WriteSet((Insert(message("msg_2")),), (ThreadCapacity(T, 1, 2),)))
    with pytest.raises(ThreadFull):
        await store.apply(WriteSet((Insert(message("msg_3")),), (ThreadCapacity(T, 1, 2),)))
    assert [one.id for one in await store.history(T)] == ["msg_1", "msg_2"]
