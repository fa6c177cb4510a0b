"""What SQLite's adapter keeps decoded is what the file holds: random writes and reads, compared with the memory store."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.databases import prepared
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.sqlite.cache import HistoryCache, RowCache
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.cache_budget import CacheBudget
from threadmill.domain.error import VersionConflict
from threadmill.domain.ids import MessageId, ProjectId, ThreadId
from threadmill.domain.message import Message, MessageRole, TextPart
from threadmill.domain.thread import Thread
from threadmill.engine.ports.store import Delete, Insert, Update, Write, WriteSet

P = ProjectId("p")
A, B = ThreadId("thread_a"), ThreadId("thread_b")

STEP = st.tuples(
    st.sampled_from(["insert", "update", "delete", "thread", "look"]),
    st.sampled_from([A, B]),
    st.integers(0, 4),
    st.integers(1, 3),
    st.sampled_from([None, 1, 2, 50]),
)


def message(thread: ThreadId, number: int, at: int = 1, text: str = "") -> Message:
    return Message(MessageId(f"msg_{thread}_{number}"), P, thread, at, MessageRole.USER, (TextPart(text),))


async def write_of(store: MemoryStore, what: str, thread: ThreadId, number: int, at: int) -> Write | None:
    match what:
        case "insert":
            return Insert(message(thread, number, at))
        case "update":
            held = await store.get(Message, P, message(thread, number).id)
            if held is None:
                return None
            return Update(replace(held, content=(TextPart(str(at)),), version=held.version + 1), held.version)
        case "delete":
            return Delete(Message, message(thread, number).id)
        case _:
            held_thread = await store.get(Thread, P, thread)
            return Delete(Thread, thread) if held_thread else Insert(Thread(thread, P, 1))


async def tried(store: MemoryStore | SqliteStore, write: Write) -> bool:
    try:
        await store.apply(WriteSet((write,)))
    except VersionConflict:
        return False
    return True


async def compare(path: Path, steps: list[tuple[str, ThreadId, int, int, int | None]]) -> None:
    memory, sqlite = MemoryStore(), await SqliteStore.open(prepared(path), LoggedTroubles())
    try:
        for what, thread, number, at, newest in steps:
            if what != "look" and (write := await write_of(memory, what, thread, number, at)) is not None:
                assert await tried(memory, write) == await tried(sqlite, write)
            assert list(await memory.history(thread, newest)) == list(await sqlite.history(thread, newest))
            assert await memory.get(Thread, P, thread) == await sqlite.get(Thread, P, thread)
    finally:
        await sqlite.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_a_hot_history_is_what_the_file_holds_whatever_was_written(
    steps: list[tuple[str, ThreadId, int, int, int | None]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(Path(directory) / "threadmill.db", steps))


def test_a_history_that_was_written_to_while_it_was_read_is_not_kept() -> None:
    cached = HistoryCache()
    reading = cached.begin_read(A)
    cached.on_write(Insert(message(A, 2)))
    cached.complete(A, reading, [message(A, 1)])
    assert cached.get(A) is None


def test_a_message_older_than_the_newest_drops_the_history_since_its_place_is_not_the_end() -> None:
    cached = HistoryCache()
    cached.complete(A, cached.begin_read(A), [message(A, 1, at=5)])
    cached.on_write(Insert(message(A, 2, at=4)))
    assert cached.get(A) is None


def test_the_least_used_histories_make_room() -> None:
    cached = HistoryCache(limit=3)
    for thread in (A, B):
        cached.complete(thread, cached.begin_read(thread), [message(thread, 1), message(thread, 2)])
    assert cached.get(A) is None
    assert cached.get(B) is not None


def test_an_older_version_read_late_does_not_replace_a_newer_one() -> None:
    cached = RowCache()
    old = Thread(A, P, 1)
    cached.on_write(Insert(replace(old, version=2)))
    cached.add(old)
    kept = cached.get(Thread, A)
    assert kept is not None
    assert kept.version == 2


def test_the_least_used_rows_make_room_and_a_delete_forgets_all() -> None:
    cached = RowCache(limit=1)
    cached.on_write(Insert(Thread(A, P, 1)))
    cached.on_write(Insert(Thread(B, P, 1)))
    assert cached.get(Thread, A) is None
    cached.on_write(Delete(Thread, B))
    assert cached.get(Thread, B) is None


def test_rows_and_histories_are_bounded_in_bytes_together() -> None:
    budget = CacheBudget(1_000_000)
    histories, rows = HistoryCache(budget=budget), RowCache(budget=budget)
    for number in range(20):
        thread = ThreadId(f"thread_{number}")
        reading = histories.begin_read(thread)
        histories.complete(thread, reading, [message(thread, at, text="x" * 25_000) for at in range(2)])
        histories.on_write(Insert(message(thread, 3, text="y" * 50_000)))
        histories.on_write(Update(replace(message(thread, 3, text="z" * 60_000), version=2), 1))
        rows.add(Thread(thread, P, 1))
    assert 700_000 < sum(budget.sizes().values()) <= 1_000_000
    assert histories.get(ThreadId("thread_0")) is None
    assert histories.get(ThreadId("thread_19")) is not None
    histories.on_write(Delete(Thread, A))
    rows.on_write(Delete(Thread, A))
    assert budget.sizes() == {"histories": 0, "rows": 0}


def test_a_history_that_is_being_read_is_not_evicted() -> None:
    budget = CacheBudget(10)
    cached = HistoryCache(budget=budget)
    reading = cached.begin_read(A)
    cached.complete(B, cached.begin_read(B), [message(B, 1)])
    assert cached.get(B) is None
    cached.complete(A, reading, [])
    assert cached.get(A) == []
