"""What every Chunks and StoreFiles keeps, on memory and on SQLite; and how the Store keeps vector stores."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_store import AnyStore, opened
from tests.support.databases import prepared
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.error import InvalidRequest, VersionConflict
from threadmill.domain.ids import FileBatchId, FileId, ProjectId, VectorStoreId
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.vector_store import (
    CountChange,
    FileBatch,
    FileCounts,
    FileError,
    FileErrorCode,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
)
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.search_index import IndexedChunk, IndexedFile
from threadmill.engine.ports.store import AddCounts, Delete, Insert, Scope, Sealed, StoreHasRoom, Update, WriteSet

P, OTHER = ProjectId("p"), ProjectId("other")
VS, FILE, BATCH = VectorStoreId("vs_1"), FileId("file-1"), FileBatchId("vsfb_1")
STORE = VectorStore(VS, P, 1, 1, "ä", file_counts=FileCounts(in_progress=1), metadata={"a": "b"})
READING = VectorStoreFile(FILE, VS, P, 1, attributes={"n": 1.5, "s": "x", "b": True}, batch_id=BATCH)
CHUNKS = [IndexedChunk("one", b"\0\1"), IndexedChunk("two")]

NOTES = ReadingNotes("PDF", "utf-8", 3, 40, 2, ("A remark.",))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[AnyStore, None]:
    async with opened(request.param, tmp_path) as made:
        yield made


async def write(store: AnyStore, edition: str = "e") -> None:
    await store.chunks.begin(edition)
    await store.chunks.write(edition, 0, CHUNKS[:1])
    await store.chunks.write(edition, 1, CHUNKS[1:])


async def seal(store: AnyStore, edition: str = "e") -> None:
    await write(store, edition)
    await store.chunks.seal(Edition(edition, 2, 10, NOTES))


async def put(store: AnyStore, *rows: VectorStore | VectorStoreFile | FileBatch) -> None:
    await store.apply(WriteSet(tuple(Insert(row) for row in rows)))


async def test_stores_files_and_batches_are_read_back_whole(store: AnyStore) -> None:
    failed = replace(READING, file_id=FileId("file-2")).failed(FileError(FileErrorCode.INVALID_FILE, "ö"))
    batch = FileBatch(BATCH, P, VS, 1, FileCounts(completed=2))
    await put(store, STORE, READING, failed, batch)
    assert await store.get(VectorStore, P, VS) == STORE
    assert await store.get(VectorStoreFile, P, READING.id) == READING
    assert await store.get(VectorStoreFile, P, failed.id) == failed
    assert await store.get(FileBatch, P, BATCH) == batch
    assert await store.get(VectorStoreFile, OTHER, READING.id) is None


async def test_a_file_is_in_a_store_once_and_only_in_one_that_exists(store: AnyStore) -> None:
    with pytest.raises(VersionConflict):
        await put(store, READING)
    await put(store, STORE, READING)
    with pytest.raises(VersionConflict):
        await put(store, READING)


async def test_lists_are_narrowed_by_store_batch_and_status(store: AnyStore) -> None:
    other = replace(STORE, id=VectorStoreId("vs_2"))
    done = replace(READING, file_id=FileId("file-2"), batch_id=None).completed("e", 1)
    await put(store, STORE, other, READING, done, replace(READING, vector_store_id=other.id))
    query = PageQuery(10, Order.ASC)
    for narrowed, expected in (
        (Scope(P, vector_store_id=VS), [READING, done]),
        (Scope(P, vector_store_id=VS, batch_id=BATCH), [READING]),
        (Scope(P, vector_store_id=VS, status=VectorStoreFileStatus.COMPLETED), [done]),
        (Scope(OTHER, vector_store_id=VS), []),
    ):
        assert list((await store.page(VectorStoreFile, narrowed, query)).items) == expected


async def test_a_deleted_store_takes_its_files_and_batches_with_it(store: AnyStore) -> None:
    await put(store, STORE, READING, FileBatch(BATCH, P, VS, 1))
    await store.apply(WriteSet((Delete(VectorStore, VS),)))
    assert await store.get(VectorStoreFile, P, READING.id) is None
    assert await store.get(FileBatch, P, BATCH) is None
    assert await store.chunks.pending(10, frozenset()) == []


async def test_counts_are_added_to_whatever_the_version_is_and_stay_when_somebody_changes_the_rest(
    store: AnyStore,
) -> None:
    await put(store, STORE, FileBatch(BATCH, P, VS, 1, FileCounts(in_progress=1)))
    done = CountChange.of(READING, READING.completed("e", 10))
    counts = (AddCounts(VectorStore, VS, done, used_at=7), AddCounts(FileBatch, BATCH, done))
    await store.apply(WriteSet(counts))
    await store.apply(WriteSet((AddCounts(VectorStore, VS, used_at=5),)))
    counted = replace(STORE, file_counts=FileCounts(completed=1), usage_bytes=10, last_active_at=7)
    assert await store.get(VectorStore, P, VS) == counted
    assert await store.get(FileBatch, P, BATCH) == FileBatch(BATCH, P, VS, 1, FileCounts(completed=1))
    await store.apply(WriteSet((Update(replace(STORE, name="new", version=2), 1),)))
    changed = replace(counted, name="new", version=2)
    assert await store.get(VectorStore, P, VS) == changed
    assert list((await store.page(VectorStore, Scope(P), PageQuery())).items) == [changed]


async def test_counting_what_is_gone_does_nothing(store: AnyStore) -> None:
    await store.apply(WriteSet((AddCounts(VectorStore, VS, CountChange(FileCounts(1))), AddCounts(FileBatch, BATCH))))
    assert await store.get(VectorStore, P, VS) is None


async def test_a_file_that_changed_meanwhile_is_not_taken_out_as_what_it_was(store: AnyStore) -> None:
    await put(store, STORE, READING)
    await store.apply(WriteSet((Update(READING.completed("e", 1), 1),)))
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((Delete(VectorStoreFile, READING.id, 1),)))
    await store.apply(WriteSet((Delete(VectorStoreFile, READING.id, 2),)))
    assert await store.get(VectorStoreFile, P, READING.id) is None


async def test_a_store_is_not_filled_beyond_its_room(store: AnyStore) -> None:
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((), (StoreHasRoom(VS, 1, 10),)))
    await put(store, STORE)
    await store.apply(WriteSet((), (StoreHasRoom(VS, 2, 3),)))
    with pytest.raises(InvalidRequest, match="at most 3 files; this one would have 4"):
        await store.apply(WriteSet((), (StoreHasRoom(VS, 3, 3),)))


async def test_files_of_stores_are_looked_up_at_once(store: AnyStore) -> None:
    rows = [replace(READING, file_id=FileId(f"file-{number}")) for number in range(2_000)]
    await put(store, STORE, *rows)
    for count in (0, 1, 3, 2_000):
        found = await store.chunks.held([row.id for row in rows[:count]])
        assert sorted(found, key=lambda row: row.id) == sorted(rows[:count], key=lambda row: row.id)
    assert await store.chunks.held([replace(READING, file_id=FileId("file-none")).id]) == []


async def test_an_edition_counts_once_it_is_sealed(store: AnyStore) -> None:
    await write(store)
    assert await store.chunks.sealed("e") is None
    with pytest.raises(VersionConflict):
        await store.apply(WriteSet((Insert(STORE),), (Sealed("e"),)))
    await seal(store)
    assert await store.chunks.sealed("e") == Edition("e", 2, 10, NOTES)
    assert list(await store.chunks.chunks("e")) == CHUNKS
    assert list(await store.chunks.chunks("none")) == []
    await store.apply(WriteSet((Insert(STORE),), (Sealed("e"),)))


async def test_a_small_edition_is_kept_at_once_in_place_of_what_an_interrupted_writer_left(store: AnyStore) -> None:
    await write(store)
    await store.chunks.keep(Edition("e", 1, 5, NOTES), CHUNKS[1:])
    assert await store.chunks.sealed("e") == Edition("e", 1, 5, NOTES)
    assert list(await store.chunks.chunks("e")) == CHUNKS[1:]


async def test_the_chunks_of_a_stores_files_are_found_by_file_and_number(store: AnyStore) -> None:
    await seal(store)
    await put(store, STORE, READING.completed("e", 10))
    assert dict(await store.chunks.editions(VS)) == {FILE: "e"}
    assert await store.chunks.read(VS, FILE) == IndexedFile(FILE, "e", CHUNKS)
    assert await store.chunks.read(VS, FileId("file-none")) is None
    places = [(FILE, 1), (FILE, 2), (FileId("file-none"), 0)]
    assert list(await store.chunks.texts(VS, places)) == ["two", None, None]


async def test_files_in_progress_wait_in_the_order_they_came(store: AnyStore) -> None:
    later = replace(READING, file_id=FileId("file-0"))
    await put(store, STORE, READING, later)
    assert list(await store.chunks.pending(10, frozenset())) == [READING, later]
    assert list(await store.chunks.pending(1, frozenset())) == [READING]
    assert list(await store.chunks.pending(1, frozenset({READING.id}))) == [later]
    await store.apply(WriteSet((Update(READING.cancelled(), READING.version),)))
    assert list(await store.chunks.pending(10, frozenset())) == [later]


async def test_the_places_of_a_file_are_known(store: AnyStore) -> None:
    other = replace(STORE, id=VectorStoreId("vs_2"))
    await put(store, STORE, other, READING, replace(READING, vector_store_id=other.id))
    assert [row.vector_store_id for row in await store.chunks.holding(P, FILE)] == [VS, "vs_2"]
    assert list(await store.chunks.holding(OTHER, FILE)) == []


async def test_editions_nobody_names_are_swept_but_what_is_spared(store: AnyStore) -> None:
    for edition in ("named", "spared", "left"):
        await seal(store, edition)
    await put(store, STORE, READING.completed("named", 10))
    assert await store.chunks.sweep(frozenset({"spared"})) == 1
    assert await store.chunks.sweep(frozenset({"spared"})) == 0
    assert await store.chunks.sealed("left") is None
    assert list(await store.chunks.chunks("left")) == []
    assert await store.chunks.sealed("spared") is not None


async def test_searchable_files_are_walked_through_in_the_order_of_their_keys(store: AnyStore) -> None:
    other = replace(STORE, id=VectorStoreId("vs_2"), project=OTHER)
    done = [replace(READING, file_id=FileId(f"file-{n}")).completed("e", 1) for n in (3, 2)]
    last = replace(READING, vector_store_id=other.id, project=OTHER).completed("e", 1)
    await put(store, STORE, other, *done, last, READING)
    first = await store.chunks.completed(2, None)
    assert list(first) == [done[1], done[0]]
    assert list(await store.chunks.completed(2, first[-1].id)) == [last]


async def test_a_waiting_file_that_cannot_be_read_takes_nobodys_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "threadmill.db"
    made = await SqliteStore.open(prepared(path), LoggedTroubles())
    await put(made, STORE, READING, replace(READING, file_id=FileId("file-2")))
    await made.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE vector_store_files SET data = '{}' WHERE id = 'vs_1/file-1'")
        assert raw.total_changes == 1
        raw.commit()
    again = await SqliteStore.open(path, LoggedTroubles())
    assert await again.chunks.pending(1, frozenset()) == []
    for _ in range(2):
        assert [one.file_id for one in await again.chunks.pending(1, frozenset())] == ["file-2"]
    await again.close()
    assert [text for text in caplog.messages if "cannot be read" in text] == [
        "vector store file vs_1/file-1 cannot be read and is left alone (ValueError)"
    ]
