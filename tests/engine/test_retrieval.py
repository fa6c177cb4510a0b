"""From questions to ranked chunks, over the real index; the embedders answer what the test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.chunks import STORE, HeldChunks, file_of
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.domain.ranking import HybridWeights
from threadmill.engine.documents.retrieval import Retrieval, ScoredChunk, SearchOptions
from threadmill.engine.ports.embedder import EmbeddingFailed
from threadmill.engine.ports.search_index import IndexQuery

OTHER = VectorStoreId("vs_2")


def vector(*numbers: float) -> bytes:
    found = np.array(numbers, "<f4")
    return (found / np.linalg.norm(found)).tobytes()


class Planned:
    """An embedder and reranker that answers from tables; a text it lacks is a failure."""

    def __init__(self, vectors: dict[str, bytes] | None = None, scores: dict[str, float] | None = None) -> None:
        self.vectors = vectors or {}
        self.scores = scores or {}
        self.questions: list[str] = []

    @property
    def identity(self) -> str:
        return "planned"

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        self.questions += texts
        if missing := [text for text in texts if text not in self.vectors]:
            raise EmbeddingFailed(f"no vector for {missing}")
        return [self.vectors[text] for text in texts]

    async def rerank(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        self.questions.append(question)
        if missing := [text for text in texts if text not in self.scores]:
            raise EmbeddingFailed(f"no score for {missing}")
        return [self.scores[text] for text in texts]

    async def aclose(self) -> None:
        return


@pytest.fixture
def source() -> HeldChunks:
    held = HeldChunks()
    held.keep(file_of("file-cats", "cats purr at night", "cats sleep by day", vectors=[vector(1, 0), vector(1, 0.2)]))
    held.keep(file_of("file-dogs", "dogs bark at night", vectors=[vector(0, 1)]))
    held.keep(file_of("file-cats", "cats purr at night", vectors=[vector(1, 0)]), store_id=OTHER)
    return held


@pytest.fixture
async def index(tmp_path: Path, source: HeldChunks) -> AsyncIterator[LocalSearchIndex]:
    found = LocalSearchIndex(tmp_path, source)
    yield found
    await found.aclose()


def names(found: Sequence[ScoredChunk]) -> list[tuple[str, int]]:
    return [(one.place.file_id, one.place.chunk) for one in found]


async def test_without_an_embedder_words_decide(index: LocalSearchIndex, source: HeldChunks) -> None:
    found = await Retrieval(index, source).search(["who barks?"], {STORE: None})
    assert names(found) == [("file-dogs", 0)]
    assert (found[0].score, found[0].text) == (1.0, "dogs bark at night")


async def test_with_an_embedder_nearness_finds_what_no_word_says(index: LocalSearchIndex, source: HeldChunks) -> None:
    embedder = Planned({"felines": vector(1, 0.1)})
    found = await Retrieval(index, source, embedder).search(["felines"], {STORE: None})
    assert names(found)[:2] in ([("file-cats", 0), ("file-cats", 1)], [("file-cats", 1), ("file-cats", 0)])
    assert all(0 < one.score <= 1 for one in found)


async def test_both_halves_together_put_first_what_both_found(index: LocalSearchIndex, source: HeldChunks) -> None:
    embedder = Planned({"night": vector(0.1, 1)})
    found = await Retrieval(index, source, embedder).search(["night"], {STORE: None})
    assert names(found)[0] == ("file-dogs", 0)


async def test_a_weight_of_zero_leaves_its_half_out(index: LocalSearchIndex, source: HeldChunks) -> None:
    embedder = Planned({"bark": vector(1, 0)})
    retrieval = Retrieval(index, source, embedder)
    by_words = await retrieval.search(["bark"], {STORE: None}, SearchOptions(weights=HybridWeights(0, 1)))
    assert names(by_words) == [("file-dogs", 0)]
    assert embedder.questions == []
    near = await retrieval.search(["bark"], {STORE: None}, SearchOptions(weights=HybridWeights(1, 0)))
    assert names(near)[0] == ("file-cats", 0)


async def test_when_the_embedder_fails_words_decide(
    index: LocalSearchIndex, source: HeldChunks, caplog: pytest.LogCaptureFixture
) -> None:
    wish = SearchOptions(weights=HybridWeights(1, 0))
    found = await Retrieval(index, source, Planned()).search(["bark"], {STORE: None}, wish)
    assert names(found) == [("file-dogs", 0)]
    assert "Searching by words only" in caplog.text


async def test_several_questions_are_one_ranking(index: LocalSearchIndex, source: HeldChunks) -> None:
    found = await Retrieval(index, source).search(["barks", "purr"], {STORE: None})
    assert sorted(names(found)) == [("file-cats", 0), ("file-dogs", 0)]
    assert await Retrieval(index, source, Planned()).search([], {STORE: None}) == []


async def test_only_the_files_that_passed_the_filters_are_looked_at(
    index: LocalSearchIndex, source: HeldChunks
) -> None:
    allowed = frozenset({FileId("file-cats")})
    found = await Retrieval(index, source).search(["night"], {STORE: allowed})
    assert names(found) == [("file-cats", 0)]
    assert await Retrieval(index, source).search(["night"], {STORE: frozenset()}) == []


async def test_both_stores_are_searched_and_a_chunk_in_both_is_found_twice(
    index: LocalSearchIndex, source: HeldChunks
) -> None:
    found = await Retrieval(index, source).search(["purr"], {STORE: None, OTHER: None})
    assert [(one.place.store_id, one.score) for one in found] == [(STORE, 1.0), (OTHER, 1.0)]


async def test_limit_and_threshold_cut_the_ranking(index: LocalSearchIndex, source: HeldChunks) -> None:
    retrieval = Retrieval(index, source)
    assert len(await retrieval.search(["night"], {STORE: None}, SearchOptions(limit=1))) == 1
    both = await retrieval.search(["night"], {STORE: None})
    best = await retrieval.search(["night"], {STORE: None}, SearchOptions(threshold=both[0].score))
    assert len(both) == 2
    assert names(best) == names(both)[:1]


async def test_a_chunk_deleted_a_moment_ago_is_left_out(index: LocalSearchIndex, source: HeldChunks) -> None:
    await index.search(STORE, IndexQuery("night"))
    del source.stores[STORE][FileId("file-dogs")]
    assert names(await Retrieval(index, source).search(["night"], {STORE: None})) == [("file-cats", 0)]


async def test_a_reranker_has_the_last_word(index: LocalSearchIndex, source: HeldChunks) -> None:
    judge = Planned(scores={"cats purr at night": 0.2, "dogs bark at night": 0.9})
    retrieval = Retrieval(index, source, reranker=judge)
    found = await retrieval.search(["night", "dark"], {STORE: None}, SearchOptions(threshold=0.5))
    assert [(one.text, one.score) for one in found] == [("dogs bark at night", 0.9)]
    assert judge.questions == ["night\ndark"]


async def test_a_search_may_go_without_the_reranker(index: LocalSearchIndex, source: HeldChunks) -> None:
    judge = Planned()
    await Retrieval(index, source, reranker=judge).search(["night"], {STORE: None}, SearchOptions(rerank=False))
    assert judge.questions == []


async def test_when_the_reranker_fails_the_ranking_stays(
    index: LocalSearchIndex, source: HeldChunks, caplog: pytest.LogCaptureFixture
) -> None:
    plain = await Retrieval(index, source).search(["night"], {STORE: None})
    assert await Retrieval(index, source, reranker=Planned()).search(["night"], {STORE: None}) == plain
    assert "Not reranked" in caplog.text


async def test_searches_run_at_the_same_time(index: LocalSearchIndex, source: HeldChunks) -> None:
    retrieval = Retrieval(index, source)
    found = await asyncio.gather(*(retrieval.search(["night"], {STORE: None}) for _ in range(20)))
    assert all(one == found[0] for one in found)
