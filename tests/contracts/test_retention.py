"""What every Retention keeps: it finds what is due and nothing else, and removes it with all that is its."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_store import AnyStore, P, T, message, opened, put, run, thread
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import AssistantId, RunId, RunStepId, ThreadId
from threadmill.domain.message import Message
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.domain.thread import Thread
from threadmill.domain.tool import FunctionTool
from threadmill.engine.ports.retention import Removed
from threadmill.engine.ports.store import Insert, WriteSet

BEFORE = 100


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[AnyStore, None]:
    async with opened(request.param, tmp_path) as made:
        yield made


def ended(name: str, at: int = 1, thread_id: str = T) -> Run:
    return replace(run(name, RunStatus.COMPLETED), created_at=at, thread_id=ThreadId(thread_id))


async def put_run(store: AnyStore, made: Run) -> None:
    event = Event(EventName.RUN_CREATED, made)
    await store.apply(WriteSet((Insert(made),), (), made.id, (event,)))


async def test_logs_of_old_runs_that_are_over_go_and_the_runs_stay(store: AnyStore) -> None:
    await put(store, thread())
    for made in (ended("run_old"), ended("run_new", BEFORE), run("run_active")):
        await put_run(store, made)
    await put(store, ended("run_mute"))
    found = await store.retention.ended_runs(BEFORE, 0, 100)
    assert (found.due, found.place) == (["run_old"], None)
    await store.retention.delete_events(found.due)
    assert await store.events(RunId("run_old")) == []
    assert len(await store.events(RunId("run_new"))) == 1
    assert await store.get(Run, P, "run_old") == ended("run_old")
    assert (await store.retention.ended_runs(BEFORE, 0, 100)).due == []


async def test_threads_are_idle_when_nothing_was_said_or_run_in_them_of_late(store: AnyStore) -> None:
    names = ["thread_idle", "thread_said", "thread_run", "thread_active"]
    await put(store, *map(thread, names), replace(thread("thread_new"), created_at=BEFORE))
    idle, said, run_in, active = map(ThreadId, names)
    await put(store, message("msg_1", 99, idle), ended("run_1", 99, idle), message("msg_2", BEFORE, said))
    await put(store, ended("run_2", BEFORE, run_in), replace(run("run_3"), thread_id=active))
    assert (await store.retention.idle_threads(BEFORE, 0, 100)).due == [thread("thread_idle")]


async def test_a_walk_looks_at_so_many_rows_at_a_time(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        await put(store, *(thread(f"thread_{n}") for n in range(5)))
        place, seen = 0, list[list[str]]()
        while place is not None:
            found = await store.retention.idle_threads(BEFORE, place, 2)
            place = found.place
            seen.append([one.id for one in found.due])
        assert seen == [["thread_0", "thread_1"], ["thread_2", "thread_3"], ["thread_4"]]


async def test_a_thread_goes_bit_by_bit_itself_last_and_no_other(store: AnyStore) -> None:
    await put(store, thread(), thread("thread_2"), message("msg_other", thread_id=ThreadId("thread_2")))
    await put(store, *(message(f"msg_{n}") for n in range(3)))
    for n in range(3):
        await put_run(store, ended(f"run_{n}"))
    step = RunStep(RunStepId("step_1"), P, T, RunId("run_0"), AssistantId("a"), 1, RunStepType.TOOL_CALLS)
    await put(store, step)
    assert len(await store.history(T)) == 3
    assert await store.retention.remove(thread(), BEFORE, 2) is Removed.SOME
    assert len(await store.history(T)) == 1
    assert await store.retention.remove(thread(), BEFORE, 2) is Removed.SOME
    assert (await store.history(T), await store.get(Thread, P, T)) == ([], thread())
    assert await store.retention.remove(thread(), BEFORE, 2) is Removed.ALL
    assert await store.retention.remove(thread(), BEFORE, 2) is Removed.NOTHING
    assert await store.get(Thread, P, T) is None
    assert [await store.get(Run, P, f"run_{n}") for n in range(3)] == [None] * 3
    assert await store.events(RunId("run_0")) == []
    assert await store.get(RunStep, P, "step_1") is None
    assert await store.get(Message, P, "msg_other") is not None


async def test_a_long_thread_is_shrunk_until_it_is_a_short_one(store: AnyStore) -> None:
    await put(store, thread(), *(message(f"msg_{n}") for n in range(5)), thread("thread_2"))
    await put(store, run("run_active"), ended("run_1"), message("msg_other", thread_id=ThreadId("thread_2")))
    shrunk = [await store.retention.shrink(T, 2) for _ in range(3)]
    assert shrunk == [True, True, False]
    assert len(await store.history(T)) == 1
    assert await store.get(Thread, P, T) == thread()
    assert await store.get(Run, P, "run_active") is not None
    assert await store.get(Message, P, "msg_other") is not None
    assert not await store.retention.shrink(ThreadId("thread_gone"), 2)


async def test_nothing_is_removed_of_a_thread_that_is_used_again(store: AnyStore) -> None:
    await put(store, thread(), message("msg_1"), message("msg_2", BEFORE))
    await put(store, thread("thread_2"), replace(run("run_active"), thread_id=ThreadId("thread_2")))
    for used in (thread(), thread("thread_2")):
        assert await store.retention.remove(used, BEFORE, 2) is Removed.NOTHING
    assert len(await store.history(T)) == 2
    assert await store.get(Run, P, "run_active") is not None


async def test_what_removed_runs_shared_goes_and_room_is_used_again(tmp_path: Path) -> None:
    def pages() -> int:
        with closing(sqlite3.connect(tmp_path / "threadmill.db")) as raw:
            return raw.execute("PRAGMA page_count").fetchone()[0]

    async def fill(store: AnyStore, name: str) -> None:
        await put(store, thread(name))
        for n in range(20):
            tools = (FunctionTool("f", f"{name} {n} " * 2_000),)
            await put_run(store, replace(ended(f"run_{name}_{n}", 1, name), tools=tools))

    async with opened("sqlite", tmp_path) as store:
        await fill(store, "thread_1")
        full = pages()
        while await store.retention.remove(thread("thread_1"), BEFORE, 3) is Removed.SOME:
            pass
        with closing(sqlite3.connect(tmp_path / "threadmill.db")) as raw:
            assert raw.execute("SELECT count(*) FROM shared_parts").fetchone() == (0,)
        await fill(store, "thread_2")
        assert pages() <= full + 2


async def test_a_thread_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        await put(store, thread("thread_1"), thread("thread_2"))
        with closing(sqlite3.connect(tmp_path / "threadmill.db")) as raw, raw:
            raw.execute("UPDATE threads SET data = '{}' WHERE id = 'thread_1'")
        assert [one.id for one in (await store.retention.idle_threads(BEFORE, 0, 100)).due] == ["thread_2"]
