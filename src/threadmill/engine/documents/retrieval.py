"""From questions to ranked chunks: embed, look in the index, fuse, cut off, rerank (behaviour.md 7.5).

Used by the search route and by the file_search tool alike. Who may search what, and which files pass the filters, the
caller has decided.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.domain.ranking import Half, HybridWeights, above, best_first, best_of, fuse
from threadmill.engine.ports.embedder import Embedder, EmbeddingFailed, Reranker, Vector
from threadmill.engine.ports.search_index import ChunkSource, Hit, IndexHits, IndexQuery, SearchIndex

LOG = logging.getLogger("threadmill.search")

DEPTH = 100
"""Hits asked of each half: what fusion has to choose from."""

RERANK_DEPTH = 50
"""Chunks a reranker is given."""

FilesAllowed = Mapping[VectorStoreId, frozenset[FileId] | None]
"""The stores to search, in order, and in each the files that passed the filters; None: there were no filters."""


class Place(NamedTuple):
    """A chunk: its store, file and number there."""

    store_id: VectorStoreId
    file_id: FileId
    chunk: int


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk worth showing; `score` from 0 to 1."""

    place: Place
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a search: at most `limit` chunks that score `threshold` or better.

    `rerank`: let the reranker decide, if there is one.
    """

    limit: int = 20
    threshold: float = 0.0
    weights: HybridWeights = field(default_factory=HybridWeights)
    rerank: bool = True


class Retrieval:
    """Searches stores. Without an embedder it goes by words only; when the embedder fails, it does too."""

    def __init__(
        self,
        index: SearchIndex,
        source: ChunkSource,
        embedder: Embedder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._index: SearchIndex = index
        self._source: ChunkSource = source
        self._embedder: Embedder | None = embedder
        self._reranker: Reranker | None = reranker

    async def search(self, questions: Sequence[str], stores: FilesAllowed, wish: Wish | None = None) -> Sequence[Found]:
        """The best chunks of all stores for any of the questions, best first.

        A chunk in two stores is found twice, as the service does (behaviour.md 2.3). Raises Unavailable.
        """
        wish = wish or Wish()
        vectors = await self._vectors(questions, wish.weights)
        asked = [self._ask(question, vector, stores, wish) for question, vector in zip(questions, vectors, strict=True)]
        scores = best_of(await asyncio.gather(*asked))
        if self._reranker is None or not wish.rerank:
            return await self._texts(dict(islice(above(scores, wish.threshold).items(), wish.limit)))
        candidates = await self._texts(dict(islice(scores.items(), max(RERANK_DEPTH, wish.limit))))
        return await self._reranked(self._reranker, "\n".join(questions), candidates, wish)

    async def _vectors(self, questions: Sequence[str], weights: HybridWeights) -> Sequence[Vector | None]:
        if self._embedder is None or not questions or weights.embedding_weight == 0:
            return [None] * len(questions)
        try:
            return await self._embedder.embed(questions)
        except EmbeddingFailed as error:
            # An answer by words is worth more than none.
            LOG.warning("Searching by words only: %s", error)
            return [None] * len(questions)

    async def _ask(
        self, question: str, vector: Vector | None, stores: FilesAllowed, wish: Wish
    ) -> Mapping[Place, float]:
        # Without a vector the words decide, even where the caller gave them no weight.
        text_weight = wish.weights.text_weight if vector else 1.0
        depth = max(DEPTH, wish.limit)
        looks: list[Awaitable[IndexHits]] = [
            self._index.search(store_id, IndexQuery(question if text_weight else None, vector, files, depth))
            for store_id, files in stores.items()
        ]
        hits = dict(zip(stores, await asyncio.gather(*looks), strict=True))
        # BM25 depends on the store, so words are ranked store by store; a cosine means the same everywhere.
        lexical = [[_place(store_id, hit) for hit in found.lexical] for store_id, found in hits.items()]
        near = {_place(store_id, hit): hit.score for store_id, found in hits.items() for hit in found.semantic}
        halves = [Half(text_weight, lexical)]
        if near:
            halves.append(Half(wish.weights.embedding_weight, [list(islice(best_first(near), depth))]))
        return fuse(halves)

    async def _texts(self, scores: Mapping[Place, float]) -> Sequence[Found]:
        """The chunks with their texts, without those deleted a moment ago."""
        texts: dict[Place, str] = {}
        for store_id in {place.store_id for place in scores}:
            places = [place for place in scores if place.store_id == store_id]
            wanted = [(place.file_id, place.chunk) for place in places]
            read = await self._source.texts(store_id, wanted)
            texts |= {place: text for place, text in zip(places, read, strict=True) if text is not None}
        return [Found(place, score, texts[place]) for place, score in scores.items() if place in texts]

    async def _reranked(
        self, reranker: Reranker, question: str, candidates: Sequence[Found], wish: Wish
    ) -> Sequence[Found]:
        try:
            scores = await reranker.rerank(question, [found.text for found in candidates])
        except EmbeddingFailed as error:
            LOG.warning("Not reranked: %s", error)
            scores = [found.score for found in candidates]
        judged = [Found(found.place, score, found.text) for found, score in zip(candidates, scores, strict=True)]
        ranked = sorted(judged, key=lambda found: -found.score)
        return [found for found in ranked if found.score >= wish.threshold][: wish.limit]


def _place(store_id: VectorStoreId, hit: Hit) -> Place:
    return Place(store_id, hit.file_id, hit.chunk)
