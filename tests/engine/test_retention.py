"""What is kept no longer goes, with all that was made for it; what is in use stays."""

from dataclasses import replace
from functools import partial

import pytest

from tests.support.runs import STOP, begun, stored, told
from tests.support.stage import PROJECT, Stage
from tests.support.stores_in_trouble import RacedStore
from threadmill.adapters.memory.retention import MemoryRetention
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.error import NotFound
from threadmill.domain.file import File, FilePurpose, NewFile, Origin
from threadmill.domain.ids import FileId, Instant, ThreadId
from threadmill.domain.message import Message, MessageRole, NewMessage, TextPart
from threadmill.domain.new_store import NewVectorStore
from threadmill.domain.page import PageQuery
from threadmill.domain.patch import ThreadPatch
from threadmill.domain.run import Run
from threadmill.domain.thread import Thread
from threadmill.domain.tool import ToolResources
from threadmill.domain.vector_store import ExpiresAfter, VectorStore
from threadmill.engine.objects import files, messages, run_events, runs, threads, vector_stores
from threadmill.engine.ports.retention import Found
from threadmill.engine.ports.store import Insert, WriteSet
from threadmill.engine.storage.file_creation import open_blob_writer
from threadmill.engine.storage.retention import DAY, KeptFor, delete_what_is_old


async def over(stage: Stage) -> Run:
    """A run that has ended."""
    run = await begun(stage)
    stage.model.turns[-1].end("Yes.", STOP)
    await stage.settle()
    return await stored(stage, run)


async def made_in(stage: Stage, thread: ThreadId) -> FileId:
    """A file of code_interpreter."""
    new = NewFile("plot.png", FilePurpose.ASSISTANTS_OUTPUT, origin=Origin(thread, "plot.png"))
    async with open_blob_writer(stage.ports) as writer:
        await writer.write(thread.encode())
        return (await files.create(stage.engine, PROJECT, new, writer)).id


async def with_store(stage: Stage, thread: ThreadId) -> VectorStore:
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(expires_after=ExpiresAfter(1)))
    await threads.modify(
        stage.engine,
        PROJECT,
        thread,
        ThreadPatch(tool_resources=ToolResources(vector_store_ids=(store.id,))),
    )
    return store


def keeping(store: MemoryStore, **settings: int | bool) -> Stage:
    return Stage(store, **settings)


async def test_without_settings_everything_is_kept(stage: Stage) -> None:
    run = await over(stage)
    stage.clock.at += 10_000 * DAY
    await stage.engine.delete_what_is_old()
    assert len(await told(stage, run)) > 5
    assert (await threads.retrieve(stage.engine, PROJECT, run.thread_id)).id == run.thread_id
    engine = replace(stage.engine, ports=replace(stage.ports, retention=None))
    await engine.delete_what_is_old()


async def test_events_go_after_their_days_and_the_run_and_its_answer_stay() -> None:
    stage = keeping(MemoryStore(), keep_events_days=2)
    old = await over(stage)
    stage.clock.at += DAY
    young = await over(stage)
    stage.clock.at += DAY + 1
    await stage.engine.delete_what_is_old()
    assert await told(stage, old) == []
    assert len(await told(stage, young)) > 5
    for after in (0, 3):
        with pytest.raises(NotFound, match="are not kept any more; the run, its steps and messages are"):
            await run_events.follow(stage.engine, old, after)
    assert await stored(stage, old) == old
    assert len(await stage.store.history(old.thread_id)) == 2
    assert len((await runs.page(stage.engine, PROJECT, old.thread_id, PageQuery())).items) == 1


@pytest.mark.parametrize("with_files", [True, False])
async def test_a_thread_nobody_used_goes_with_what_was_made_for_it_if_that_is_wished(*, with_files: bool) -> None:
    stage = keeping(MemoryStore(), keep_threads_days=2, delete_thread_files=with_files)
    run = await over(stage)
    made, given = await made_in(stage, run.thread_id), await stage.file("given.txt")
    store = await with_store(stage, run.thread_id)
    stage.sandbox.files[run.thread_id] = {}
    stage.clock.at += DAY
    used = await over(stage)
    stage.clock.at += DAY + 1
    await stage.engine.delete_what_is_old()
    with pytest.raises(NotFound):
        await threads.retrieve(stage.engine, PROJECT, run.thread_id)
    assert (await stage.store.get(Run, PROJECT, run.id), await told(stage, run)) == (None, [])
    assert run.thread_id not in stage.sandbox.files, "its session is closed"
    held = [await stage.store.get(File, PROJECT, one) is not None for one in (made, given)]
    assert held == [not with_files, True]
    assert (await stage.store.get(VectorStore, PROJECT, store.id) is None) == with_files
    assert (await threads.retrieve(stage.engine, PROJECT, used.thread_id)).id == used.thread_id


async def test_a_store_that_can_still_be_searched_stays() -> None:
    stage = keeping(MemoryStore(), delete_thread_files=True)
    thread = await stage.thread("hi")
    store = await with_store(stage, thread.id)
    gone = await vector_stores.create(stage.engine, PROJECT, NewVectorStore())
    both = ToolResources(vector_store_ids=(store.id, gone.id))
    await threads.modify(stage.engine, PROJECT, thread.id, ThreadPatch(tool_resources=both))
    await vector_stores.delete(stage.engine, PROJECT, gone.id)
    await threads.delete(stage.engine, PROJECT, thread.id)
    assert await stage.store.get(VectorStore, PROJECT, store.id) is not None


async def test_who_deletes_a_thread_deletes_what_it_made_if_that_is_wished() -> None:
    for with_files in (True, False):
        stage = keeping(MemoryStore(), delete_thread_files=with_files)
        thread = await stage.thread("hi")
        made = await made_in(stage, thread.id)
        await threads.delete(stage.engine, PROJECT, thread.id)
        assert (await stage.store.get(File, PROJECT, made) is None) == with_files


async def test_a_long_thread_goes_whole_with_the_run_that_is_active_on_it(stage: Stage) -> None:
    run = await begun(stage)
    for _ in range(60):
        await stage.store.apply(WriteSet((Insert(said(stage, run.thread_id)),)))
    await threads.delete(stage.engine, PROJECT, run.thread_id)
    assert await stage.store.get(Run, PROJECT, run.id) is None
    assert await stage.store.history(run.thread_id) == []
    without = replace(stage.engine, ports=replace(stage.ports, retention=None))
    await threads.delete(without, PROJECT, (await stage.thread("hi")).id)


def said(stage: Stage, thread: ThreadId) -> Message:
    return Message(stage.ids.message(), PROJECT, thread, 1, MessageRole.USER, (TextPart("more"),))


class Late(MemoryRetention):
    """Somebody writes into each thread that was found idle, before it is removed."""

    stage: Stage

    async def idle_threads(self, before: Instant, place: int, rows: int) -> Found[Thread]:
        found = await super().idle_threads(before, place, rows)
        for thread in found.due:
            await messages.create(self.stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, (TextPart("!"),)))
        return found


async def test_a_thread_that_is_used_again_meanwhile_stays() -> None:
    stage = keeping(MemoryStore())
    run = await over(stage)
    stage.sandbox.files[run.thread_id] = {}
    stage.clock.at += 10 * DAY
    late = Late(stage.store.rows_now, stage.store.logs_now)
    late.stage = stage
    await delete_what_is_old(stage.ports, late, KeptFor(threads=1), stage.worker.unmovable)
    assert len(await stage.store.history(run.thread_id)) == 3
    assert run.thread_id in stage.sandbox.files, "its session goes on"


async def test_a_store_that_is_brought_back_to_life_meanwhile_stays() -> None:
    store = RacedStore()
    stage = keeping(store)
    thread = await stage.thread("hi")
    made = await with_store(stage, thread.id)
    stage.clock.at += 10 * DAY
    store.meanwhile = partial(revive, stage, made)
    kept = KeptFor(threads=1, files=True)
    await delete_what_is_old(stage.ports, store.retention, kept, stage.worker.unmovable)
    assert await stage.store.get(VectorStore, PROJECT, made.id) is not None
    assert await stage.store.get(Thread, PROJECT, thread.id) is None


async def revive(stage: Stage, store: VectorStore) -> None:
    patch = vector_stores.VectorStorePatch(frozenset({"name"}), NewVectorStore(name="again"))
    await vector_stores.modify(stage.engine, PROJECT, store.id, patch)
