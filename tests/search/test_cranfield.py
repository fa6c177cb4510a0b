"""How good the search is, on a public collection with judgements."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.chunks import STORE, HeldChunks, file_of
from tests.support.cranfield import cranfield
from tests.support.lsa import LsaEmbedder
from threadmill.adapters.search.local_index import LocalSearchIndex
from threadmill.domain.ranking import HybridWeights
from threadmill.engine.documents.retrieval import Retrieval, SearchOptions


async def rankings(retrieval: Retrieval, weights: HybridWeights) -> list[Sequence[str]]:
    wish = SearchOptions(limit=10, weights=weights)
    found = [await retrieval.search([question], {STORE: None}, wish) for question in cranfield().questions]
    return [[one.place.file_id for one in ranking] for ranking in found]


@pytest.fixture(scope="module")
def embedder() -> LsaEmbedder:
    return LsaEmbedder(cranfield().documents.values())


async def test_words_alone_and_both_halves_together_find_what_the_judges_found(
    tmp_path: Path, embedder: LsaEmbedder
) -> None:
    documents, source = cranfield().documents, HeldChunks()
    vectors = await embedder.embed(list(documents.values()))
    source.keep(
        *(file_of(name, text, vectors=[one]) for (name, text), one in zip(documents.items(), vectors, strict=True))
    )
    index = LocalSearchIndex(tmp_path, source)
    retrieval = Retrieval(index, source, embedder)
    score = {
        name: cranfield().ndcg(await rankings(retrieval, weights))
        for name, weights in {
            "words": HybridWeights(embedding_weight=0, text_weight=1),
            "meaning": HybridWeights(embedding_weight=1, text_weight=0),
            "both": HybridWeights(),
        }.items()
    }
    await index.aclose()
    print(score)
    assert score["words"] >= 0.54
    assert score["both"] >= max(score["words"], score["meaning"])
