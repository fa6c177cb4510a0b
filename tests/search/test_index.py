"""The embedded index: what is put is found, what is lost is built anew from the stored chunks."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import tantivy

from tests.support.chunks import STORE, HeldChunks, file_of
from threadmill.adapters.search.local_index import MAX_LINGERING, LocalSearchIndex
from threadmill.adapters.search.store_index import StoreIndex
from threadmill.domain.error import Unavailable
from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.engine.ports.search_index import IndexedFile, IndexQuery, SearchIndex

OTHER = VectorStoreId("vs_2")


def vectors(count: int, size: int = 16, seed: int = 0) -> list[bytes]:
    rows = np.random.default_rng(seed).standard_normal((count, size)).astype("<f4")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [row.tobytes() for row in rows]


@pytest.fixture
def source() -> HeldChunks:
    return HeldChunks()


@pytest.fixture
async def index(tmp_path: Path, source: HeldChunks) -> AsyncIterator[LocalSearchIndex]:
    found = LocalSearchIndex(tmp_path, source)
    yield found
    await found.aclose()


@asynccontextmanager
async def reopened(directory: Path, source: HeldChunks) -> AsyncIterator[LocalSearchIndex]:
    found = LocalSearchIndex(directory, source)
    try:
        yield found
    finally:
        await found.aclose()


async def put(index: SearchIndex, source: HeldChunks, *files: IndexedFile, store_id: VectorStoreId = STORE) -> None:
    """As ingestion does: first the truth, then the index."""
    source.keep(*files, store_id=store_id)
    await asyncio.gather(*(index.upsert(store_id, file) for file in files))


async def by_words(index: SearchIndex, text: str, store_id: VectorStoreId = STORE) -> list[tuple[str, int]]:
    hits = await index.search(store_id, IndexQuery(text))
    return [(hit.file_id, hit.chunk) for hit in hits.lexical]


async def by_nearness(index: SearchIndex, vector: bytes, depth: int = 3) -> list[tuple[str, int]]:
    hits = await index.search(STORE, IndexQuery(None, vector, top_k=depth))
    return [(hit.file_id, hit.chunk) for hit in hits.semantic]


async def test_what_is_put_is_found_at_once(index: LocalSearchIndex, source: HeldChunks) -> None:
    await put(index, source, file_of("file-a", "apples grow", "pears fall"), file_of("file-b", "apples rot"))
    assert sorted(await by_words(index, "apple")) == [("file-a", 0), ("file-b", 0)]
    assert await by_words(index, "pear") == [("file-a", 1)]


async def test_an_unknown_store_holds_nothing_and_leaves_nothing(index: LocalSearchIndex, tmp_path: Path) -> None:
    assert await by_words(index, "apple") == []
    await index.remove(STORE, FileId("file-a"))
    await index.drop(STORE)
    assert list(tmp_path.iterdir()) == []


async def test_stores_do_not_see_each_other(index: LocalSearchIndex, source: HeldChunks) -> None:
    await put(index, source, file_of("file-a", "apples"))
    await put(index, source, file_of("file-b", "apples"), store_id=OTHER)
    assert await by_words(index, "apples") == [("file-a", 0)]
    assert await by_words(index, "apples", OTHER) == [("file-b", 0)]


async def test_a_file_put_again_has_only_its_new_chunks(index: LocalSearchIndex, source: HeldChunks) -> None:
    one, other = vectors(2)
    await put(index, source, file_of("file-a", "apples", "plums", vectors=[one, other]))
    await put(index, source, file_of("file-a", "pears", edition="2", vectors=[other]))
    assert await by_words(index, "apples plums") == []
    assert await by_words(index, "pears") == [("file-a", 0)]
    assert await by_nearness(index, other) == [("file-a", 0)]


async def test_a_removed_file_and_a_dropped_store_are_forgotten(
    index: LocalSearchIndex, source: HeldChunks, tmp_path: Path
) -> None:
    await put(index, source, file_of("file-a", "apples"), file_of("file-b", "apples"))
    del source.stores[STORE][FileId("file-a")]
    await index.remove(STORE, FileId("file-a"))
    assert await by_words(index, "apples") == [("file-b", 0)]
    source.stores.clear()
    await index.drop(STORE)
    assert await by_words(index, "apples") == []
    assert list(tmp_path.iterdir()) == []


async def test_the_nearest_come_first_with_their_cosine(index: LocalSearchIndex, source: HeldChunks) -> None:
    some = vectors(50)
    await put(index, source, file_of("file-a", *["text"] * 50, vectors=list(some)))
    question = np.frombuffer(some[7], "<f4")
    exact = sorted(range(50), key=lambda at: -float(np.frombuffer(some[at], "<f4") @ question))
    found = (await index.search(STORE, IndexQuery(None, some[7], top_k=5))).semantic
    assert [hit.chunk for hit in found] == exact[:5]
    assert found[0].score == pytest.approx(1, abs=1e-5)


async def test_only_wanted_files_are_looked_at(index: LocalSearchIndex, source: HeldChunks) -> None:
    one, other = vectors(2)
    await put(index, source, file_of("file-a", "apples", vectors=[one]), file_of("file-b", "apples", vectors=[other]))
    query = IndexQuery("apples", one, frozenset({FileId("file-b"), FileId("file-unknown")}))
    hits = await index.search(STORE, query)
    assert {hit.file_id for hit in (*hits.lexical, *hits.semantic)} == {"file-b"}
    nothing = await index.search(STORE, IndexQuery("apples", one, frozenset()))
    assert (nothing.lexical, nothing.semantic) == ((), ())


async def test_a_vector_of_another_size_finds_nothing(index: LocalSearchIndex, source: HeldChunks) -> None:
    await put(index, source, file_of("file-a", "apples", vectors=vectors(1)))
    assert await by_nearness(index, vectors(1, 8)[0]) == []


async def test_another_embedder_replaces_the_vectors_and_keeps_the_words(
    index: LocalSearchIndex, source: HeldChunks
) -> None:
    await put(
        index, source, file_of("file-a", "apples", vectors=vectors(1)), file_of("file-b", "pears", vectors=vectors(1))
    )
    new = vectors(1, 8)[0]
    await put(index, source, file_of("file-a", "apples", edition="2", vectors=[new]))
    assert await by_nearness(index, new) == [("file-a", 0)]
    assert await by_words(index, "pears") == [("file-b", 0)]


async def test_a_restart_finds_the_same_without_reading_the_chunks(tmp_path: Path, source: HeldChunks) -> None:
    vector = vectors(1)[0]
    async with reopened(tmp_path, source) as index:
        await put(index, source, file_of("file-a", "apples", vectors=[vector]))
    source.reads = 0
    async with reopened(tmp_path, source) as index:
        assert await by_words(index, "apples") == [("file-a", 0)]
        assert await by_nearness(index, vector) == [("file-a", 0)]
    assert source.reads == 0


async def test_what_was_stored_or_deleted_before_a_crash_is_put_right_at_the_next_start(
    tmp_path: Path, source: HeldChunks
) -> None:
    async with reopened(tmp_path, source) as index:
        await put(index, source, file_of("file-a", "apples"), file_of("file-b", "pears"), file_of("file-c", "plums"))
    source.keep(file_of("file-d", "figs"), file_of("file-b", "dates", edition="2"))
    del source.stores[STORE][FileId("file-a")]
    source.reads = 0
    async with reopened(tmp_path, source) as index:
        found = sorted(await by_words(index, "apples pears figs dates plums"))
        assert found == [("file-b", 0), ("file-c", 0), ("file-d", 0)]
        assert source.reads == 2


def _remove(path: Path) -> None:
    path.unlink()


def _scramble(path: Path) -> None:
    path.write_bytes(b"\x93scrambled" * 50)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_remove, _scramble, _empty])
@pytest.mark.parametrize(
    "part", ["manifest.json", "vectors.f32", "words/meta.json", "words/*.term", "words/*.store", "words/*"]
)
async def test_an_index_that_is_lost_or_broken_is_built_anew_from_the_stored_chunks(
    tmp_path: Path, source: HeldChunks, part: str, damage: Callable[[Path], None]
) -> None:
    given = vectors(3)
    async with reopened(tmp_path, source) as index:
        await put(index, source, file_of("file-a", "apples", "pears", "plums", vectors=list(given)))
    for path in (tmp_path / STORE).glob(part):
        damage(path)
    async with reopened(tmp_path, source) as index:
        assert await by_words(index, "pears") == [("file-a", 1)]
        assert (await by_nearness(index, given[2]))[0] == ("file-a", 2)


async def test_an_index_of_the_last_release_is_built_anew(tmp_path: Path, source: HeldChunks) -> None:
    """Its words had another schema, its manifest other names."""
    source.keep(file_of("file-a", "Kündigungsfristen", "pears"))
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="words", index_option="position")
    builder.add_text_field("put", tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("row", fast=True)
    (tmp_path / STORE / "words").mkdir(parents=True)
    words = tantivy.Index(builder.build(), str(tmp_path / STORE / "words"))
    words.register_tokenizer("words", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).build())
    writer = words.writer()
    writer.add_document(tantivy.Document(put="1", row=0))
    writer.commit()
    writer.wait_merging_threads()
    file = {"file_id": "file-a", "edition": "1", "put": 1, "runs": [[0, 2]], "sum": None}
    old = {"format": 1, "dimensions": 0, "height": 2, "next_put": 2, "files": {"file-a": file}}
    (tmp_path / STORE / "manifest.json").write_text(json.dumps(old))
    async with reopened(tmp_path, source) as index:
        assert await by_words(index, "Frist") == [("file-a", 0)]


async def test_what_is_written_is_the_owners_alone(tmp_path: Path, source: HeldChunks) -> None:
    before = os.umask(0)
    try:
        async with reopened(tmp_path, source) as index:
            await put(index, source, file_of("file-a", "apples", vectors=vectors(1)))
            assert (tmp_path / STORE).stat().st_mode & 0o777 == 0o700
        modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / STORE).rglob("*")}
    finally:
        os.umask(before)
    assert len(modes) > 5
    assert {path.name for path, mode in modes.items() if mode & 0o077} == set()


async def test_searches_go_on_while_files_are_put(index: LocalSearchIndex, source: HeldChunks) -> None:
    await put(index, source, file_of("file-0", "apples"))
    writing = asyncio.gather(*(put(index, source, file_of(f"file-{at}", "apples")) for at in range(1, 60)))
    seen = [len(await by_words(index, "apples")) for _ in range(20)]
    await writing
    assert seen == sorted(seen)
    assert len(await by_words(index, "apples")) == 60


async def test_an_index_stays_open_for_writing_from_file_to_file_unless_too_many_do(
    index: LocalSearchIndex, source: HeldChunks
) -> None:
    stores = [VectorStoreId(f"vs_{number}") for number in range(MAX_LINGERING + 1)]
    opened: list[tuple[StoreIndex, object]] = []
    for at, store_id in enumerate((stores[0], *stores)):
        await put(index, source, file_of(f"file-{at}", "fox"), store_id=store_id)
        opened.append(_inner(index, store_id))
    assert opened[0] == opened[1]
    resting = index._stores[stores[0]].writer  # pyright: ignore[reportPrivateUsage] - it rests at a time of its own
    assert resting is not None
    await asyncio.wait([resting])
    assert _inner(index, stores[0])[1] is None
    assert _inner(index, stores[-1])[1] is not None


def _inner(index: LocalSearchIndex, store_id: VectorStoreId) -> tuple[StoreIndex, object]:
    """The store's index and the writer it holds open."""
    held = index._stores[store_id].index  # pyright: ignore[reportPrivateUsage] - nobody else sees what is open
    assert held is not None
    return held, held._bm25._writer  # pyright: ignore[reportPrivateUsage] - the same


async def test_more_stores_than_may_be_open_are_all_searched(tmp_path: Path, source: HeldChunks) -> None:
    index = LocalSearchIndex(tmp_path, source, max_open=2)
    stores = [VectorStoreId(f"vs_{at}") for at in range(6)]
    for store_id in stores:
        await put(index, source, file_of("file-a", f"apples of {store_id}"), store_id=store_id)
    for store_id in (*stores, *stores):
        assert await by_words(index, "apples", store_id) == [("file-a", 0)]
    await index.aclose()


async def test_large_stores_are_searched_by_the_graph_as_well_as_exactly(tmp_path: Path, source: HeldChunks) -> None:
    given = vectors(1_500, seed=3)
    questions = vectors(40, seed=4)
    texts = [f"text {at}" for at in range(1_500)]
    exact = LocalSearchIndex(tmp_path / "exact", source)
    graph = LocalSearchIndex(tmp_path / "graph", source, ann_threshold=500)
    await put(exact, source, file_of("file-a", *texts, vectors=list(given)))
    await put(graph, source, file_of("file-a", *texts, vectors=list(given)))
    await graph.aclose()
    assert (tmp_path / "graph" / STORE / "near.usearch").exists()
    graph = LocalSearchIndex(tmp_path / "graph", source, ann_threshold=500)
    await put(graph, source, file_of("file-b", "one more", vectors=vectors(1, seed=5)))
    await put(exact, source, file_of("file-b", "one more", vectors=vectors(1, seed=5)))
    shared = 0
    for question in questions:
        right, found = await by_nearness(exact, question, 10), await by_nearness(graph, question, 10)
        shared += len(set(right) & set(found))
    assert shared >= 0.95 * 10 * len(questions)
    await exact.aclose()
    await graph.aclose()


async def test_a_disk_that_cannot_be_written_is_said(tmp_path: Path, source: HeldChunks) -> None:
    (tmp_path / "index").write_text("a file where the folder should be")
    index = LocalSearchIndex(tmp_path / "index", source)
    with pytest.raises(Unavailable):
        await index.upsert(STORE, file_of("file-a", "apples"))
    await index.aclose()


async def test_an_id_that_would_leave_the_folder_is_refused(index: LocalSearchIndex) -> None:
    with pytest.raises(ValueError, match="not an id"):
        await index.drop(VectorStoreId("../other"))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("The café serves crêpes", "cafe"),
        ("Running shoes for runners", "run"),
        ("数据库索引的设计", "索引"),
        ("the who", "the who"),
        ("error E1042 in module x_y", "e1042"),
        ("Straße", "straße"),
    ],
)
async def test_words_are_found_in_other_forms_and_scripts(
    index: LocalSearchIndex, source: HeldChunks, text: str, question: str
) -> None:
    await put(index, source, file_of("file-a", text), file_of("file-b", "something else"))
    assert await by_words(index, question) == [("file-a", 0)]


async def test_questions_of_any_length_and_content_are_answered(index: LocalSearchIndex, source: HeldChunks) -> None:
    await put(index, source, file_of("file-a", "apples"))
    for question in ("", " ", "?!", '"apples" AND (', "apples " * 50_000, "\x00", "a" * 100_000):
        await by_words(index, question)
    assert await by_words(index, 'text:"apples" OR (') == [("file-a", 0)]


async def test_the_graph_of_a_large_store_is_in_use_again_after_a_restart_without_a_write(
    tmp_path: Path, source: HeldChunks
) -> None:
    given = vectors(600, seed=3)
    index = LocalSearchIndex(tmp_path, source, ann_threshold=500)
    await put(index, source, file_of("file-a", *["text"] * 600, vectors=list(given)))
    await index.aclose()
    written = (tmp_path / STORE / "near.usearch").stat().st_mtime_ns
    (tmp_path / STORE / "near.npy").unlink()
    index = LocalSearchIndex(tmp_path, source, ann_threshold=500)
    assert (await by_nearness(index, given[3]))[0] == ("file-a", 3)
    await index.aclose()
    # What was lost of it was made again behind that search.
    assert (tmp_path / STORE / "near.npy").exists()
    assert (tmp_path / STORE / "near.usearch").stat().st_mtime_ns > written


def test_a_large_store_and_a_model_on_this_machine_live_in_one_process(tmp_path: Path) -> None:
    """In a process of its own: onnxruntime, imported after usearch alone, ends it."""
    code = (
        "import sys; from pathlib import Path; from threadmill.adapters.search.ann import AnnGraph\n"
        "AnnGraph(Path(sys.argv[1]), 1)._load(4)\n"
        "import onnxruntime"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
