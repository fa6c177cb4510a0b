"""Reading files into vector stores: once, whatever goes wrong, and anew when the embedder changes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.stage import PROJECT, Stage
from tests.support.stores import DONE, Embedding, embedding, filled, found, read, rows_of
from tests.support.waiting import until
from threadmill.domain.chunking import StaticChunking, TooManyTokens
from threadmill.domain.error import DatabaseUnavailable, Unavailable
from threadmill.domain.new_store import NewStoreFile, NewVectorStore
from threadmill.domain.vector_store import (
    FileCounts,
    FileError,
    FileErrorCode,
    VectorStoreFile,
    VectorStoreFileStatus,
)
from threadmill.engine.documents import ingester
from threadmill.engine.documents.reembedding import outdated_rows, reembed
from threadmill.engine.objects import store_files, vector_stores
from threadmill.engine.ports.embedder import EmbeddingFailed
from threadmill.engine.ports.surprises import FILE_INTERNAL_ERROR


async def test_the_same_file_is_read_once_however_often_it_is_attached(stage: Stage) -> None:
    file = await stage.file("a.txt", b"the fox")
    stores = [
        await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),))) for _ in range(3)
    ]
    await read(stage)
    assert stage.extractor.reads == ["a.txt"]
    for store in stores:
        assert await found(stage, store.id, "fox") == ["the fox"]
    await vector_stores.delete(stage.engine, PROJECT, stores[0].id)
    await read(stage)
    assert await found(stage, stores[1].id, "fox") == ["the fox"]


async def test_what_no_store_names_any_more_is_swept_and_read_again_when_wanted(stage: Stage) -> None:
    file = await stage.file("a.txt", b"the fox")
    for _ in range(2):
        new = NewVectorStore(files=(NewStoreFile(file),))
        store = await vector_stores.create(stage.engine, PROJECT, new)
        await read(stage)
        await vector_stores.delete(stage.engine, PROJECT, store.id)
        await read(stage)
    assert stage.extractor.reads == ["a.txt", "a.txt"]


async def test_a_file_added_again_is_read_as_is_wanted_now_and_stays_findable_meanwhile(stage: Stage) -> None:
    text = " ".join(f"word{number}" for number in range(300))
    store = await filled(stage, text)
    (row,) = await rows_of(stage, store.id)
    assert len(await found(stage, store.id, "word1")) == 1
    again = NewStoreFile(row.file_id, {"a": "b"}, StaticChunking(100, 0))
    await store_files.add(stage.engine, PROJECT, store.id, again)
    assert len(await found(stage, store.id, "word1")) == 1
    await read(stage)
    _, row, texts = await store_files.content(stage.engine, PROJECT, store.id, row.file_id)
    assert (len(texts), row.attributes) == (3, {"a": "b"})
    assert (await vector_stores.retrieve(stage.engine, PROJECT, store.id)).file_counts == FileCounts(completed=1)


async def test_a_file_added_again_while_it_is_read_is_read_again(stage: Stage) -> None:
    stage.extractor.gate = asyncio.Event()
    file = await stage.file("a.txt", b"fox " * 200)
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    await stage.ingester.start_pending()
    await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(file, chunking=StaticChunking(100, 0)))
    stage.extractor.gate.set()
    await read(stage)
    (row,) = await rows_of(stage, store.id)
    assert (row.status, row.chunking_strategy) == (DONE, StaticChunking(100, 0))
    assert len((await store_files.content(stage.engine, PROJECT, store.id, file))[2]) == 2


async def test_chunks_are_embedded_in_portions_and_once(stage: Stage) -> None:
    embedder = embedding(stage)
    text = " ".join(f"w{number}" for number in range(60_000))
    file = await stage.file("long.txt", text.encode())
    new = NewStoreFile(file, chunking=StaticChunking(100, 0))
    made = [await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(new,))) for _ in range(2)]
    await read(stage)
    assert 600 <= embedder.texts < 700
    assert len(await found(stage, made[1].id, "anything near")) == 10
    await stage.search.aclose()


async def test_an_embedder_that_refuses_fails_the_file_and_one_that_is_away_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingester, "RETRY_SECONDS", 0)
    embedder = embedding(stage)
    embedder.trouble = [EmbeddingFailed("busy", transient=True), EmbeddingFailed("no such model")]
    store = await filled(stage, "fox")
    (row,) = await rows_of(stage, store.id)
    assert row.last_error is not None
    assert row.last_error.message == "no such model"
    assert len(stage.surprises) == 1
    embedder.trouble = [EmbeddingFailed("busy", transient=True)]
    file = await stage.file("b.txt", b"late")
    await store_files.add(stage.engine, PROJECT, store.id, NewStoreFile(file))
    stage.clock.at += ingester.EMBEDDER_TIMEOUT
    await read(stage)
    row = await store_files.retrieve(stage.engine, PROJECT, store.id, file)
    assert row.last_error is not None
    assert row.last_error.message == "busy"


@pytest.mark.parametrize(
    ("trouble", "code", "message"),
    [
        (
            TooManyTokens(5_000_001),
            FileErrorCode.INVALID_FILE,
            "The file has 5,000,001 tokens or more; at most 5,000,000 are",
        ),
        (ZeroDivisionError("a bug"), FileErrorCode.SERVER_ERROR, FILE_INTERNAL_ERROR),
    ],
)
async def test_whatever_goes_wrong_the_file_settles(
    stage: Stage, trouble: Exception, code: FileErrorCode, message: str
) -> None:
    stage.extractor.trouble = trouble
    store = await filled(stage, "fox")
    (row,) = await rows_of(stage, store.id)
    assert row.last_error is not None
    assert row.last_error.code is code
    assert row.last_error.message.startswith(message)


async def test_a_deleted_store_stops_what_reads_for_it(stage: Stage) -> None:
    stage.extractor.gate = asyncio.Event()
    file = await stage.file("a.txt", b"fox")
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    await stage.ingester.start_pending()
    await vector_stores.delete(stage.engine, PROJECT, store.id)
    await read(stage)
    assert not stage.surprises


async def test_reading_goes_on_whenever_woken_and_what_is_cut_off_is_read_by_the_next_process(stage: Stage) -> None:
    stage.extractor.gate = asyncio.Event()
    reading = asyncio.ensure_future(stage.engine.run_background_tasks())
    file = await stage.file("a.txt", b"fox")
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    await until("the file to be read", lambda: bool(stage.extractor.reads))
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    (row,) = await rows_of(stage, store.id)
    assert row.status is VectorStoreFileStatus.IN_PROGRESS
    stage.extractor.gate.set()
    stage.hire()
    await read(stage)
    assert await found(stage, store.id, "fox") == ["fox"]


async def test_a_store_that_cannot_be_read_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0
    pending = stage.store.chunks.pending

    async def failing(limit: int, beside: frozenset[str]) -> Sequence[VectorStoreFile]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("no")
        return await pending(limit, beside)

    monkeypatch.setattr(stage.store.chunks, "pending", failing)
    stage.settings = replace(stage.settings, sweep_interval=0)
    stage.hire()
    reading = asyncio.ensure_future(stage.engine.run_background_tasks())
    await until("a second try", lambda: tries > 1)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert "reading files failed" in stage.surprises[0]


async def test_a_file_taken_out_while_it_is_read_leaves_nothing(stage: Stage) -> None:
    stage.extractor.gate = asyncio.Event()
    file = await stage.file("a.txt", b"fox")
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    await stage.ingester.start_pending()
    await store_files.remove(stage.engine, PROJECT, store.id, file)
    stage.extractor.gate.set()
    await read(stage)
    assert await found(stage, store.id, "fox") == []
    assert (await vector_stores.retrieve(stage.engine, PROJECT, store.id)).file_counts == FileCounts()


class Another(Embedding):
    """Vectors of another space."""

    identity = "another"


async def reembedded(stage: Stage) -> list[str]:
    rows = await outdated_rows(stage.ports)
    return [row.file_id async for row in reembed(stage.ports, rows)]


async def test_another_embedder_embeds_stored_chunks_anew_and_only_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threadmill.engine.documents.reembedding.PAGE", 1)
    embedding(stage)
    store = await filled(stage, "the fox", "a hen")
    shared, _ = await rows_of(stage, store.id)
    second = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(shared.file_id),)))
    await read(stage)
    other = Another()
    stage.search = replace(stage.search, embedder=other)
    stage.hire()
    assert len(await reembedded(stage)) == 3
    assert other.texts == 2
    assert await reembedded(stage) == []
    assert len(stage.extractor.reads) == 2
    assert await found(stage, second.id, "anything") == ["the fox"]
    usage = (await vector_stores.retrieve(stage.engine, PROJECT, store.id)).usage_bytes
    assert usage == 2 * 1024 + len("the foxa hen")


async def test_a_file_that_goes_while_files_are_embedded_anew_stays_gone(stage: Stage) -> None:
    store = await filled(stage, "the fox", "a hen")
    fox, hen = await rows_of(stage, store.id)
    embedding(stage)
    rows = await outdated_rows(stage.ports)
    await store_files.remove(stage.engine, PROJECT, store.id, fox.file_id)
    stage.store._state.rows.pop(hen.file_id)
    assert len([row async for row in reembed(stage.ports, rows)]) == 2
    assert await outdated_rows(stage.ports) == []
    assert await found(stage, store.id, "fox") == []


async def test_a_file_whose_bytes_are_lost_fails_at_once_and_says_so(stage: Stage) -> None:
    file = await stage.file("a.txt", b"the fox")
    await stage.lose_bytes(file)
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    await read(stage)
    (row,) = await rows_of(stage, store.id)
    assert row.last_error == FileError(
        FileErrorCode.SERVER_ERROR, "The content of this file is lost: No such file or directory."
    )
    assert stage.surprises == []


async def test_files_that_cannot_be_read_now_take_no_place_from_others(stage: Stage) -> None:
    stage.extractor.trouble = Unavailable("The disk does not answer.")
    stuck = await filled(stage, *(f"text {number}" for number in range(stage.settings.max_ingestions)))
    stage.extractor.trouble = None
    other = await filled(stage, "the fox")
    assert await found(stage, other.id, "fox") == ["the fox"]
    assert {row.status for row in await rows_of(stage, stuck.id)} == {VectorStoreFileStatus.IN_PROGRESS}
    row = (await rows_of(stage, stuck.id))[0]
    await store_files.remove(stage.engine, PROJECT, stuck.id, row.file_id)
    await store_files.add(stage.engine, PROJECT, stuck.id, NewStoreFile(row.file_id))
    await read(stage)
    assert [one.status for one in await rows_of(stage, stuck.id)].count(DONE) == 1, (
        "what is added anew waits for nothing"
    )


async def test_more_pausing_files_than_one_cause_explains_hold_their_readers_places(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingester, "MAX_PAUSED", 1)
    readers = stage.settings.max_ingestions
    stage.extractor.trouble = Unavailable("The disk does not answer.")
    await vector_stores.create(
        stage.engine,
        PROJECT,
        NewVectorStore(files=tuple([NewStoreFile(await stage.file(f"{number}.txt")) for number in range(readers + 1)])),
    )
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    await stage.until("each file's pause to be told", lambda: len(stage.surprises) > readers)
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("read ")]) == readers
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)


async def test_a_file_that_cannot_be_read_time_and_again_fails_with_what_stands_in_its_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingester, "RETRY_SECONDS", 0)
    stage.extractor.trouble = Unavailable("The disk does not answer.")
    store = await filled(stage, "fox")
    (row,) = await rows_of(stage, store.id)
    assert row.last_error == FileError(FileErrorCode.SERVER_ERROR, "The disk does not answer.")
    assert len(stage.surprises) == ingester.MAX_TRIES


async def test_what_was_not_read_without_doubt_is_completed_and_told(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    store = await filled(stage, "a fox, a \ufffd")
    (row,) = await rows_of(stage, store.id)
    assert row.status is DONE
    assert any(f"{row.file_id} was not read without doubt" in text for text in caplog.messages)


async def test_a_database_that_is_away_is_waited_for_without_a_line_for_each_file(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingester, "RETRY_SECONDS", 0)
    stage.extractor.trouble = DatabaseUnavailable("The database cannot be used right now.")
    file = await stage.file("a.txt", b"the fox")
    store = await vector_stores.create(stage.engine, PROJECT, NewVectorStore(files=(NewStoreFile(file),)))
    await stage.ingester.start_pending()
    while not stage.extractor.reads:
        await stage.settle()
    stage.extractor.trouble = None
    await read(stage)
    assert await found(stage, store.id, "fox") == ["the fox"]
    assert stage.surprises == []
