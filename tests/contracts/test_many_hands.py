"""64 clients change one object at once, on memory and on SQLite: none fails, none even loses a race, counts are exact."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_store import run
from tests.support.stage import PROJECT, Stage, turn_of_the_loop
from tests.support.stores import filled, read, rows_of
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.error import Conflict, NotFound, VersionConflict
from threadmill.domain.file import File, FilePurpose
from threadmill.domain.ids import AssistantId, FileId, ProjectId, ThreadId, VectorStoreId
from threadmill.domain.message import Attachment, MessageRole, NewMessage, TextPart
from threadmill.domain.new_store import NewStoreFile, NewVectorStore, VectorStorePatch
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.patch import AssistantPatch, NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.tool import ToolResources
from threadmill.domain.upload import NewUpload, Upload, UploadPart
from threadmill.domain.vector_store import FileBatch, FileCounts, VectorStoreFile
from threadmill.engine.objects import (
    assistants,
    file_batches,
    files,
    messages,
    runs,
    store_files,
    threads,
    uploads,
    vector_stores,
)
from threadmill.engine.ports.store import Insert, R, WriteSet
from threadmill.engine.storage.file_creation import open_blob_writer

CLIENTS = 64
Metadata = dict[str, str]


class CountingMemory(MemoryStore):
    """Counts lost races; every read and write gives way to the others, as a database does."""

    lost = 0

    async def get(self, kind: type[R], project: ProjectId, object_id: str) -> R | None:
        await turn_of_the_loop()
        return await super().get(kind, project, object_id)

    async def apply(self, write_set: WriteSet) -> int:
        await turn_of_the_loop()
        try:
            return await super().apply(write_set)
        except VersionConflict:
            self.lost += 1
            raise


class CountingSqlite(SqliteStore):
    """Counts lost races."""

    lost = 0

    async def apply(self, write_set: WriteSet) -> int:
        try:
            return await super().apply(write_set)
        except VersionConflict:
            self.lost += 1
            raise


@pytest.fixture(params=["memory", "sqlite"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Stage, None]:
    sqlite = (
        None if request.param == "memory" else await CountingSqlite.open(tmp_path / "threadmill.db", LoggedTroubles())
    )
    made = Stage(CountingMemory() if sqlite is None else sqlite)
    try:
        yield made
    finally:
        assert made.store.lost == 0, "who changes an object waits for the others, and loses no race to them"
        assert len(made.locks) == 0, "nobody waits, so nothing is kept"
        await made.worker.drain(0)
        await made.search.index.aclose()
        if sqlite is not None:
            await sqlite.close()


async def all_at_once(change: Callable[[Metadata], Awaitable[object]]) -> None:
    """Each client sets the metadata to its own; the order of asking is the order of the changes."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(one(change, {"client": str(number)}))


async def one(change: Callable[[Metadata], Awaitable[object]], metadata: Metadata) -> None:
    await change(metadata)


LAST = {"client": str(CLIENTS - 1)}


async def test_an_assistant(stage: Stage) -> None:
    made = await stage.assistant()

    async def modify(metadata: Metadata) -> None:
        patch = AssistantPatch(frozenset({"metadata"}), NewAssistant("m", metadata=metadata))
        await assistants.modify(stage.engine, PROJECT, made.id, patch)

    await all_at_once(modify)
    found = await assistants.retrieve(stage.engine, PROJECT, made.id)
    assert (found.metadata, found.version) == (LAST, made.version + CLIENTS)


async def test_a_thread(stage: Stage) -> None:
    made = await stage.thread("hi")
    await all_at_once(lambda metadata: threads.modify(stage.engine, PROJECT, made.id, ThreadPatch(metadata=metadata)))
    found = await threads.retrieve(stage.engine, PROJECT, made.id)
    assert (found.metadata, found.version) == (LAST, made.version + CLIENTS)


async def test_a_message(stage: Stage) -> None:
    thread = await stage.thread("hi")
    (made,) = await stage.store.history(thread.id)
    await all_at_once(lambda metadata: messages.modify(stage.engine, PROJECT, thread.id, made.id, metadata))
    found = await messages.retrieve(stage.engine, PROJECT, thread.id, made.id)
    assert (found.metadata, found.version) == (LAST, made.version + CLIENTS)


async def test_a_runs_metadata(stage: Stage) -> None:
    thread = await stage.thread("hi")
    made: Run = replace(run(status=RunStatus.COMPLETED), project=PROJECT, thread_id=thread.id)
    await stage.store.apply(WriteSet((Insert(made),)))
    await all_at_once(lambda metadata: runs.modify(stage.engine, PROJECT, thread.id, made.id, metadata))
    found = await runs.retrieve(stage.engine, PROJECT, thread.id, made.id)
    assert (found.metadata, found.version) == (LAST, made.version + CLIENTS)


async def test_a_vector_store_that_is_read_into_meanwhile(stage: Stage) -> None:
    texts = [await stage.file(f"{number}.txt", b"fox") for number in range(20)]
    new = NewVectorStore(files=tuple(NewStoreFile(one) for one in texts))
    made = await vector_stores.create(stage.engine, PROJECT, new)

    async def modify(metadata: Metadata) -> None:
        patch = VectorStorePatch(frozenset({"metadata"}), NewVectorStore(metadata=metadata))
        await vector_stores.modify(stage.engine, PROJECT, made.id, patch)

    await asyncio.gather(all_at_once(modify), read(stage))
    await read(stage)
    found = await vector_stores.retrieve(stage.engine, PROJECT, made.id)
    assert (found.metadata, found.file_counts, found.version) == (LAST, FileCounts(completed=20), 1 + CLIENTS)


async def counted(stage: Stage, store_id: VectorStoreId) -> FileCounts:
    """What the store says it counts, having made sure that its files say the same."""
    store = await vector_stores.retrieve(stage.engine, PROJECT, store_id)
    rows = await all_rows(stage, store_id)
    statuses = [str(row.status) for row in rows]
    assert store.file_counts == FileCounts(**{status: statuses.count(status) for status in set(statuses)})
    assert store.usage_bytes == sum(row.usage_bytes for row in rows)
    return store.file_counts


async def all_rows(stage: Stage, store_id: VectorStoreId) -> Sequence[VectorStoreFile]:
    found: list[VectorStoreFile] = []
    page = await store_files.page(stage.engine, PROJECT, store_id, PageQuery(100, Order.ASC))
    found += page.items
    while page.has_more:
        after = found[-1].file_id
        page = await store_files.page(stage.engine, PROJECT, store_id, PageQuery(100, Order.ASC, after=after))
        found += page.items
    return found


async def test_files_are_added_changed_and_taken_out_while_the_store_is_read_into(stage: Stage) -> None:
    store = await filled(stage, "old")
    ids = [await stage.file(f"{number}.txt", f"fox {number}".encode()) for number in range(CLIENTS // 2)]

    async def client(number: int, file_id: FileId) -> None:
        await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(file_id))
        await store_files.modify(stage.engine, PROJECT, store.id, file_id, {"n": number})
        if number % 2:
            await store_files.remove(stage.engine, PROJECT, store.id, file_id)

    async with asyncio.timeout(60):
        await asyncio.gather(*(client(*pair) for pair in enumerate(ids)), read(stage))
        await read(stage)
    assert await counted(stage, store.id) == FileCounts(completed=1 + CLIENTS // 4)


async def test_one_file_is_added_by_all_and_taken_out_by_all(stage: Stage) -> None:
    store = await filled(stage)
    file_id = await stage.file("fox.txt", b"fox")
    await all_at_once(lambda _: store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(file_id)))
    await read(stage)
    assert await counted(stage, store.id) == FileCounts(completed=1)
    taken = [store_files.remove(stage.engine, PROJECT, store.id, file_id) for _ in range(CLIENTS)]
    assert sum(one is None for one in await asyncio.gather(*taken, return_exceptions=True)) == 1
    assert await counted(stage, store.id) == FileCounts()


async def test_batches_are_added_and_cancelled_while_the_one_before_is_read(stage: Stage) -> None:
    store = await filled(stage)
    ids = [await stage.file(f"{number}.txt", f"fox {number}".encode()) for number in range(80)]

    async def client(first: int) -> FileBatch:
        new = [NewStoreFile(one) for one in ids[first : first + 8]]
        batch = await file_batches.create(stage.engine, PROJECT, store.id, new)
        return batch if first % 16 else await file_batches.cancel(stage.engine, PROJECT, store.id, batch.id)

    async with asyncio.timeout(60):
        batches, _ = await asyncio.gather(asyncio.gather(*(client(first) for first in range(0, 80, 8))), read(stage))
        await read(stage)
    assert (await counted(stage, store.id)).total == 80
    for batch in batches:
        found = await file_batches.retrieve(stage.engine, PROJECT, store.id, batch.id)
        statuses = [str(row.status) for row in await rows_of(stage, store.id, batch_id=batch.id)]
        assert found.file_counts == FileCounts(**{status: statuses.count(status) for status in set(statuses)})
        assert found.file_counts.total == 8


async def test_overlapping_batches_take_their_files_in_one_order_and_count_each_once(stage: Stage) -> None:
    store = await filled(stage)
    ids = [await stage.file(f"{number}.txt", f"fox {number}".encode()) for number in range(30)]

    async def client(number: int) -> None:
        new = [NewStoreFile(one) for one in (ids if number % 2 else reversed(ids))]
        await file_batches.create(stage.engine, PROJECT, store.id, new)

    async with asyncio.timeout(60):
        await asyncio.gather(*(client(number) for number in range(16)), read(stage))
        await read(stage)
    assert await counted(stage, store.id) == FileCounts(completed=30)


def saying(file_id: FileId, *tools: str) -> NewMessage:
    return NewMessage(MessageRole.USER, (TextPart("x"),), (Attachment(file_id, tools),))


async def test_messages_hand_one_thread_files_to_search_and_to_run(stage: Stage) -> None:
    thread = await stage.thread()
    ids = [await stage.file(f"{number}.txt", f"fox {number}".encode()) for number in range(CLIENTS // 2)]

    async def client(number: int, file_id: FileId) -> None:
        tools = ("file_search", "code_interpreter") if number < 20 else ("file_search",)
        await messages.create(stage.engine, PROJECT, thread.id, saying(file_id, *tools))

    async with asyncio.timeout(60):
        await asyncio.gather(*(client(*pair) for pair in enumerate(ids)), read(stage))
        await read(stage)
    resources = (await threads.retrieve(stage.engine, PROJECT, thread.id)).tool_resources
    assert sorted(resources.file_ids or ()) == sorted(ids[:20])
    assert resources.vector_store_ids is not None
    (store_id,) = resources.vector_store_ids
    assert await counted(stage, store_id) == FileCounts(completed=CLIENTS // 2)


async def test_threads_are_made_with_one_file_for_one_store(stage: Stage) -> None:
    store = await filled(stage)
    file_id = await stage.file("fox.txt", b"fox")
    new = NewThread((saying(file_id, "file_search"),), tool_resources=ToolResources(vector_store_ids=(store.id,)))
    await all_at_once(lambda _: threads.create(stage.engine, PROJECT, new))
    await read(stage)
    assert await counted(stage, store.id) == FileCounts(completed=1)


async def test_files_are_deleted_while_assistants_and_threads_that_hold_them_change(stage: Stage) -> None:
    ids = [await stage.file(f"{number}.txt") for number in range(20)]
    resources = ToolResources(file_ids=tuple(ids))
    assistant = await stage.assistant(tool_resources=resources)
    thread = await threads.create(stage.engine, PROJECT, NewThread(tool_resources=resources))

    async def rename(metadata: Metadata) -> None:
        patch = AssistantPatch(frozenset({"metadata"}), NewAssistant("m", metadata=metadata))
        await assistants.modify(stage.engine, PROJECT, AssistantId(assistant.id), patch)
        await threads.modify(stage.engine, PROJECT, ThreadId(thread.id), ThreadPatch(metadata=metadata))

    deletes = (files.delete(stage.engine, PROJECT, one) for one in ids)
    await asyncio.gather(all_at_once(rename), *deletes)
    assert (await assistants.retrieve(stage.engine, PROJECT, assistant.id)).tool_resources == ToolResources(())
    assert (await threads.retrieve(stage.engine, PROJECT, thread.id)).tool_resources == ToolResources(())


async def test_an_upload_takes_all_its_parts_and_is_completed_or_cancelled_once(stage: Stage) -> None:
    new = NewUpload("a.txt", FilePurpose.USER_DATA, CLIENTS, "text/plain")
    upload = await uploads.create(stage.engine, PROJECT, new)

    async def add(number: int) -> UploadPart:
        async with open_blob_writer(stage.ports) as writer:
            await writer.write(bytes([number]))
            return await uploads.add_part(stage.engine, PROJECT, upload.id, writer)

    async with asyncio.timeout(60):
        parts = await asyncio.gather(*map(add, range(CLIENTS)))
    found = await stage.store.get(Upload, PROJECT, upload.id)
    assert found is not None
    assert (found.parts, found.received) == (CLIENTS, CLIENTS)
    wanted = [part.id for part in parts]
    ends = [uploads.complete(stage.engine, PROJECT, upload.id, wanted, None) for _ in range(CLIENTS)]
    cancels = [uploads.cancel(stage.engine, PROJECT, upload.id) for _ in range(CLIENTS)]
    async with asyncio.timeout(60):
        first, *others = await asyncio.gather(*ends, *cancels, return_exceptions=True)
    assert isinstance(first, tuple)
    assert isinstance(first[1], File)
    assert all(isinstance(other, Conflict) for other in others)
    _, content = await files.read(stage.engine, PROJECT, first[1].id)
    assert b"".join([piece async for piece in content]) == bytes(range(CLIENTS))


@pytest.mark.parametrize("kind", ["assistant", "thread", "message", "file", "vector store"])
async def test_what_all_delete_is_deleted_once_and_then_not_found(stage: Stage, kind: str) -> None:
    thread, engine = await stage.thread("hi"), stage.engine
    (message,) = await stage.store.history(thread.id)
    assistant, file_id, store = await stage.assistant(), await stage.file("a.txt"), await filled(stage)
    delete: Callable[[], Awaitable[object]] = {
        "assistant": lambda: assistants.delete(engine, PROJECT, assistant.id),
        "thread": lambda: threads.delete(engine, PROJECT, thread.id),
        "message": lambda: messages.delete(engine, PROJECT, thread.id, message.id),
        "file": lambda: files.delete(engine, PROJECT, file_id),
        "vector store": lambda: vector_stores.delete(engine, PROJECT, store.id),
    }[kind]
    async with asyncio.timeout(60):
        done = await asyncio.gather(*(delete() for _ in range(CLIENTS)), return_exceptions=True)
    assert [type(one) for one in done if one is not None] == [NotFound] * (CLIENTS - 1)
    stage.store.lost = 0  # a row that is gone is no race that somebody else won
