"""Vector stores in the engine: what is added, counted, found, cancelled and taken out; stores of threads and assistants."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.stage import PROJECT, Stage
from tests.support.stores import filled, found, read, rows_of
from tests.support.stores_in_trouble import RacedStore
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.chunking import StaticChunking
from threadmill.domain.error import Conflict, InvalidRequest, NotFound
from threadmill.domain.filter import Comparator, Comparison
from threadmill.domain.ids import FileBatchId, FileId, ThreadId, VectorStoreId
from threadmill.domain.message import Attachment, MessageRole, NewMessage, TextPart
from threadmill.domain.new_store import NewStoreFile, NewVectorStore, VectorStorePatch
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.patch import NewAssistant, NewThread
from threadmill.domain.run import NewRun
from threadmill.domain.tool import ToolResources
from threadmill.domain.vector_store import (
    ExpiresAfter,
    FileBatchStatus,
    FileCounts,
    FileErrorCode,
    VectorStore,
    VectorStoreFileStatus,
    VectorStoreStatus,
)
from threadmill.engine.documents.ingester import FILE_DELETED
from threadmill.engine.objects import (
    assistants,
    file_batches,
    files,
    messages,
    runs,
    store_files,
    threads,
    vector_stores,
)
from threadmill.engine.ports.store import Delete, Update, WriteSet
from threadmill.engine.storage.store_file_removal import remove_if_present


async def test_a_store_reads_as_in_progress_until_its_files_are_found(stage: Stage) -> None:
    file = await stage.file("a.txt", b"the quick brown fox")
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    assert (store.status(stage.clock.now()), store.file_counts) == ("in_progress", FileCounts(in_progress=1))
    assert await found(stage, store.id, "fox") == []
    await read(stage)
    store = await vector_stores.retrieve(stage.engine, PROJECT, store.id)
    assert (store.status(stage.clock.now()), store.file_counts) == ("completed", FileCounts(completed=1))
    assert store.usage_bytes == 1024 + 19
    assert await found(stage, store.id, "fox") == ["the quick brown fox"]


async def test_an_empty_store_is_completed_and_can_be_listed_changed_and_deleted(stage: Stage) -> None:
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore("one"))
    assert store.status(stage.clock.now()) is VectorStoreStatus.COMPLETED
    patch = VectorStorePatch(frozenset({"name", "metadata"}), NewVectorStore("two", metadata={"a": "b"}))
    changed = await vector_stores.modify(stage.engine, PROJECT, store.id, patch)
    assert (changed.name, changed.metadata) == ("two", {"a": "b"})
    assert (await vector_stores.page(stage.engine, PROJECT, PageQuery())).items == [changed]
    await vector_stores.delete(stage.engine, PROJECT, store.id)
    with pytest.raises(NotFound, match=f"Vector store {store.id} not found."):
        await vector_stores.delete(stage.engine, PROJECT, store.id)


async def test_a_file_that_cannot_be_read_says_why_and_its_neighbours_are_found(stage: Stage) -> None:
    store = await filled(stage, "good", "broken")
    assert store.file_counts == FileCounts(completed=1, failed=1)
    (failed,) = await rows_of(stage, store.id, status=VectorStoreFileStatus.FAILED)
    assert failed.last_error is not None
    assert failed.last_error.code is FileErrorCode.INVALID_FILE
    assert await found(stage, store.id, "good") == ["good"]


async def test_files_are_added_changed_filtered_and_taken_out(stage: Stage) -> None:
    store = await filled(stage, "fox one")
    file = await stage.file("b.txt", b"fox two")
    new = NewStoreFile(file, {"year": 2024}, StaticChunking(100, 0))
    added = await store_files.add(stage.engine, PROJECT, store.id, new)
    assert added.status is VectorStoreFileStatus.IN_PROGRESS
    await read(stage)
    only = Comparison(Comparator.EQ, "year", 2024)
    assert await found(stage, store.id, "fox", filters=only) == ["fox two"]
    await store_files.modify(stage.engine, PROJECT, store.id, file, {"year": 1999})
    assert await found(stage, store.id, "fox", filters=only) == []
    assert len(await found(stage, store.id, "fox")) == 2
    of, row, texts = await store_files.content(stage.engine, PROJECT, store.id, file)
    assert (of.filename, row.attributes, texts) == ("b.txt", {"year": 1999}, ["fox two"])
    await store_files.remove(stage.engine, PROJECT, store.id, file)
    await read(stage)
    assert await found(stage, store.id, "fox") == ["fox one"]
    assert (await vector_stores.retrieve(stage.engine, PROJECT, store.id)).file_counts == FileCounts(completed=1)
    with pytest.raises(NotFound):
        await store_files.retrieve(stage.engine, PROJECT, store.id, file)
    assert (await files.retrieve(stage.engine, PROJECT, file)).id == file


async def test_the_content_of_a_file_not_read_yet_is_empty_and_of_a_deleted_one_not_found(stage: Stage) -> None:
    file = await stage.file("a.txt", b"x")
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    _, _, texts = await store_files.content(stage.engine, PROJECT, store.id, file)
    assert texts == []
    stage.store._state.rows.pop(file)  # as a delete that is half way
    with pytest.raises(NotFound):
        await store_files.content(stage.engine, PROJECT, store.id, file)
    await read(stage)
    (row,) = await rows_of(stage, store.id)
    assert row.last_error == FILE_DELETED


async def test_pages_go_by_file_ids(stage: Stage) -> None:
    store = await filled(stage, "a", "b", "c")
    first, second, third = await rows_of(stage, store.id)
    query = PageQuery(1, Order.ASC, after=first.file_id)
    page = await store_files.page(stage.engine, PROJECT, store.id, query)
    assert ([row.file_id for row in page.items], page.has_more) == ([second.file_id], True)
    query = PageQuery(5, Order.ASC, before=third.file_id)
    assert len((await store_files.page(stage.engine, PROJECT, store.id, query)).items) == 2
    with pytest.raises(InvalidRequest, match="No object found with id 'file-none'"):
        await store_files.page(stage.engine, PROJECT, store.id, PageQuery(after="file-none"))
    with pytest.raises(InvalidRequest):
        await store_files.page(
            stage.engine, PROJECT, store.id, PageQuery(after=first.file_id), status=VectorStoreFileStatus.FAILED
        )


@pytest.mark.parametrize("name", ["a.xls", "none"])
async def test_files_of_other_kinds_are_refused_in_the_services_words(stage: Stage, name: str) -> None:
    file = await stage.file(name)
    with pytest.raises(InvalidRequest, match="are not supported for retrieval") as caught:
        await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    assert (caught.value.code, caught.value.param) == ("unsupported_file", "file_ids")


async def test_files_that_do_not_exist_are_refused(stage: Stage) -> None:
    store = await filled(stage)
    with pytest.raises(InvalidRequest, match="not found"):
        await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(FileId("file-none")))
    with pytest.raises(NotFound):
        await store_files.add(stage.engine, PROJECT, VectorStoreId("vs_none"), NewStoreFile(FileId("file-none")))


async def test_a_batch_counts_its_own_files_and_can_be_cancelled(stage: Stage) -> None:
    store = await filled(stage, "old")
    ids = [await stage.file(f"b{number}.txt", b"new") for number in range(150)]
    batch = await file_batches.create(stage.engine, PROJECT, store.id, [NewStoreFile(one) for one in ids])
    assert (batch.status, batch.file_counts.in_progress) == (FileBatchStatus.IN_PROGRESS, 150)
    await store_files.remove(stage.engine, PROJECT, store.id, ids[0])
    stage.extractor.gate = asyncio.Event()
    await stage.ingester.start_pending()
    cancelled = await file_batches.cancel(stage.engine, PROJECT, store.id, batch.id)
    assert (cancelled.status, cancelled.file_counts) == (FileBatchStatus.CANCELLED, FileCounts(cancelled=149))
    await read(stage)
    again = await file_batches.cancel(stage.engine, PROJECT, store.id, batch.id)
    assert again == cancelled
    assert len(await rows_of(stage, store.id, batch_id=batch.id)) == 100
    counts = (await vector_stores.retrieve(stage.engine, PROJECT, store.id)).file_counts
    assert counts == FileCounts(completed=1, cancelled=149)


async def test_a_batch_that_ends_is_completed_and_cancelling_it_changes_nothing(stage: Stage) -> None:
    store = await filled(stage)
    file = await stage.file("a.txt", b"fox")
    batch = await file_batches.create(stage.engine, PROJECT, store.id, [NewStoreFile(file), NewStoreFile(file)])
    await read(stage)
    done = await file_batches.cancel(stage.engine, PROJECT, store.id, batch.id)
    assert (done.status, done.file_counts) == (FileBatchStatus.COMPLETED, FileCounts(completed=1))
    other = await filled(stage)
    for wrong in (batch.id, FileBatchId("vsfb_none")):
        with pytest.raises(NotFound):
            await file_batches.retrieve(stage.engine, PROJECT, other.id, wrong)


async def test_a_batch_waits_no_more_for_a_file_that_is_added_anew(stage: Stage) -> None:
    store = await filled(stage)
    file = await stage.file("a.txt", b"fox")
    batch = await file_batches.create(stage.engine, PROJECT, store.id, [NewStoreFile(file)])
    await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(file))
    left = await file_batches.retrieve(stage.engine, PROJECT, store.id, batch.id)
    assert left.file_counts == FileCounts(cancelled=1)
    await read(stage)


async def test_a_store_has_room_for_so_many_files(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadmill.engine.objects.store_file_insertion.MAX_STORE_FILES", 1)
    store = await filled(stage, "one")
    file = await stage.file("a.txt", b"fox")
    with pytest.raises(InvalidRequest, match="can hold at most 1 files"):
        await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(file))


async def test_an_expired_store_is_not_searched_and_use_prolongs_a_life(stage: Stage) -> None:
    store = await filled(stage, "fox", expires_after=ExpiresAfter(1))
    stage.clock.at += 80_000
    assert await found(stage, store.id, "fox") == ["fox"]
    stage.clock.at += 80_000
    assert await found(stage, store.id, "fox") == ["fox"]
    assert await found(stage, store.id, "fox") == ["fox"]
    stage.clock.at += 90_000
    with pytest.raises(Conflict, match="expired"):
        await found(stage, store.id, "fox")
    patch = VectorStorePatch(frozenset({"expires_after"}), NewVectorStore(expires_after=ExpiresAfter(2)))
    await vector_stores.modify(stage.engine, PROJECT, store.id, patch)
    assert await found(stage, store.id, "fox") == ["fox"]
    bad = VectorStorePatch(frozenset({"expires_after"}), NewVectorStore(expires_after=ExpiresAfter(0)))
    with pytest.raises(InvalidRequest):
        await vector_stores.modify(stage.engine, PROJECT, store.id, bad)


async def test_a_deleted_file_is_gone_from_every_store_and_batch(stage: Stage) -> None:
    store = await filled(stage)
    file = await stage.file("a.txt", b"fox")
    batch = await file_batches.create(stage.engine, PROJECT, store.id, [NewStoreFile(file)])
    await read(stage)
    await files.delete(stage.engine, PROJECT, file)
    assert await rows_of(stage, store.id) == []
    assert await found(stage, store.id, "fox") == []
    assert (await file_batches.retrieve(stage.engine, PROJECT, store.id, batch.id)).file_counts == FileCounts()


async def test_taking_out_what_is_gone_is_no_error_for_who_deletes_the_file(stage: Stage) -> None:
    store = await filled(stage, "fox")
    (row,) = await rows_of(stage, store.id)
    await store_files.remove(stage.engine, PROJECT, store.id, row.file_id)
    await remove_if_present(stage.ports, row)


def saying(*attached: FileId) -> NewMessage:
    tools = tuple(Attachment(one, ("file_search",)) for one in attached)
    return NewMessage(MessageRole.USER, (TextPart("hi"),), tools)


async def stores_of(stage: Stage, thread_id: ThreadId) -> tuple[VectorStoreId, ...]:
    return (await threads.retrieve(stage.engine, PROJECT, thread_id)).tool_resources.vector_store_ids or ()


async def test_attachments_go_into_the_threads_store_made_with_a_life_of_seven_days(stage: Stage) -> None:
    one, two, three = [await stage.file(f"{name}.txt", name.encode()) for name in ("fox", "hen", "cow")]
    thread = await threads.create(stage.engine, PROJECT, NewThread((saying(one),)))
    (store_id,) = await stores_of(stage, thread.id)
    await messages.create(stage.engine, PROJECT, thread.id, saying(two))
    assistant = await stage.assistant()
    new = NewRun(assistant.id, additional_messages=(saying(three),))
    accepted = await runs.create(stage.engine, PROJECT, thread.id, new)
    assert accepted.run.tool_resources.vector_store_ids == (store_id,)
    assert await stores_of(stage, thread.id) == (store_id,)
    await read(stage)
    store = await vector_stores.retrieve(stage.engine, PROJECT, store_id)
    assert (store.file_counts, store.expires_after) == (FileCounts(completed=3), ExpiresAfter(7))
    assert await found(stage, store_id, "cow") == ["cow"]


async def test_a_thread_without_a_store_gets_one_with_a_later_message_or_run(stage: Stage) -> None:
    file = await stage.file("fox.txt", b"fox")
    assistant = await stage.assistant()
    for way in ("message", "run"):
        thread = await stage.thread("hi")
        if way == "message":
            await messages.create(stage.engine, PROJECT, thread.id, saying(file))
        else:
            new = NewRun(assistant.id, additional_messages=(saying(file),))
            await runs.create(stage.engine, PROJECT, thread.id, new)
        assert len(await stores_of(stage, thread.id)) == 1
    await read(stage)


async def test_an_expired_or_deleted_store_of_a_thread_is_replaced_when_files_come(stage: Stage) -> None:
    file = await stage.file("fox.txt", b"fox")
    thread = await threads.create(stage.engine, PROJECT, NewThread((saying(file),)))
    (first,) = await stores_of(stage, thread.id)
    stage.clock.at += 8 * 86_400
    await messages.create(stage.engine, PROJECT, thread.id, saying(file))
    (second,) = await stores_of(stage, thread.id)
    await vector_stores.delete(stage.engine, PROJECT, second)
    await messages.create(stage.engine, PROJECT, thread.id, saying(file))
    (third,) = await stores_of(stage, thread.id)
    assert len({first, second, third}) == 3
    await read(stage)


async def test_assistants_threads_and_runs_make_the_store_they_ask_for(stage: Stage) -> None:
    file = await stage.file("fox.txt", b"fox")
    wanted = NewVectorStore(files=(NewStoreFile(file),), metadata={"a": "b"})
    assistant = await assistants.create(stage.engine, PROJECT, NewAssistant("m", new_store=wanted))
    thread = await threads.create(stage.engine, PROJECT, NewThread(new_store=wanted))
    said = NewMessage(MessageRole.USER, (TextPart("hi"),))
    accepted = await runs.create_with_thread(
        stage.engine, PROJECT, NewThread((said,), new_store=wanted), NewRun(assistant.id)
    )
    await read(stage)
    assert assistant.tool_resources.vector_store_ids is not None
    (ours,) = assistant.tool_resources.vector_store_ids
    (its,) = await stores_of(stage, thread.id)
    (theirs,) = await stores_of(stage, accepted.run.thread_id)
    for store_id, life in ((ours, None), (its, ExpiresAfter(7)), (theirs, ExpiresAfter(7))):
        store = await vector_stores.retrieve(stage.engine, PROJECT, store_id)
        assert (store.metadata, store.expires_after) == ({"a": "b"}, life)
        assert await found(stage, store_id, "fox") == ["fox"]


async def test_a_store_that_does_not_exist_is_refused(stage: Stage) -> None:
    resources = ToolResources(vector_store_ids=(VectorStoreId("vs_none"),))
    with pytest.raises(NotFound, match="Vector store vs_none not found."):
        await threads.create(stage.engine, PROJECT, NewThread(tool_resources=resources))
    with pytest.raises(InvalidRequest):
        missing = NewVectorStore(files=(NewStoreFile(FileId("file-none")),))
        await threads.create(stage.engine, PROJECT, NewThread(new_store=missing))


async def test_a_search_is_a_use_and_gets_in_nobodys_way() -> None:
    store = RacedStore()
    stage = Stage(store)
    made = await filled(stage, "fox")
    stage.clock.at += 100

    async def rename() -> None:
        renamed = replace(made, name="new", version=made.version + 1)
        await MemoryStore.apply(store, WriteSet((Update(renamed, made.version),)))

    store.meanwhile = rename
    assert await found(stage, made.id, "fox") == ["fox"]
    used = await vector_stores.retrieve(stage.engine, PROJECT, made.id)
    assert (used.name, used.last_active_at) == ("new", stage.clock.at)


async def test_two_deletes_of_one_store_are_one_delete_and_one_not_found() -> None:
    store = RacedStore()
    stage = Stage(store)
    made = await filled(stage)

    async def delete() -> None:
        await MemoryStore.apply(store, WriteSet((Delete(VectorStore, made.id),)))

    store.meanwhile = delete
    with pytest.raises(NotFound):
        await vector_stores.delete(stage.engine, PROJECT, made.id)


async def test_filters_look_at_every_page_of_a_store(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadmill.engine.documents.store_search.PAGE", 2)
    store = await filled(stage, *(f"fox {number}" for number in range(5)))
    for number, row in enumerate(await rows_of(stage, store.id)):
        await store_files.modify(stage.engine, PROJECT, store.id, row.file_id, {"n": number})
    over = Comparison(Comparator.GTE, "n", 3)
    assert sorted(await found(stage, store.id, "fox", filters=over)) == ["fox 3", "fox 4"]


async def test_a_batch_that_is_gone_stops_nothing(stage: Stage) -> None:
    store = await filled(stage)
    one, two = [await stage.file(f"{name}.txt", b"fox") for name in "ab"]
    batch = await file_batches.create(stage.engine, PROJECT, store.id, [NewStoreFile(one), NewStoreFile(two)])
    stage.store._state.rows.pop(batch.id)
    await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(one))
    await read(stage)
    assert len(await found(stage, store.id, "fox")) == 2
