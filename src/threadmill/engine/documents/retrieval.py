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
from threadmill.domain.ranking import (
    HybridWeights,
    WeightedRankings,
    above_threshold,
    merge_best,
    reciprocal_rank_fusion,
    sort_by_score,
)
from threadmill.engine.ports.embedder import Embedder, EmbeddingFailed, Reranker, Vector
from threadmill.engine.ports.search_index import ChunkSource, Hit, IndexHits, IndexQuery, SearchIndex

LOG = logging.getLogger("threadmill.search")

CANDIDATES = 100
"""Hits asked of each half: what fusion has to choose from."""

RERANK_DEPTH = 50
"""Chunks a reranker is given."""

FilesAllowed = Mapping[VectorStoreId, frozenset[FileId] | None]
"""The stores to search, in order, and in each the files that passed the filters; None: there were no filters."""


class ChunkRef(NamedTuple):
    """A chunk: its store, file and number there."""

    store_id: VectorStoreId
    file_id: FileId
    chunk: int


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """A chunk worth showing; `score` from 0 to 1."""

    place: ChunkRef
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class SearchOptions:
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

    async def search(
        self, queries: Sequence[str], stores: FilesAllowed, options: SearchOptions | None = None
    ) -> Sequence[ScoredChunk]:
        """The best chunks of all stores for any of the questions, best first.

        A chunk in two stores is found twice, as the service does (behaviour.md 2.3). Raises Unavailable.
        """
        options = options or SearchOptions()
        vectors = await self._vectors(queries, options.weights)
        asked = [
            self._search_one(question, vector, stores, options)
            for question, vector in zip(queries, vectors, strict=True)
        ]
        scores = merge_best(await asyncio.gather(*asked))
        if self._reranker is None or not options.rerank:
            return await self._texts(dict(islice(above_threshold(scores, options.threshold).items(), options.limit)))
        candidates = await self._texts(dict(islice(scores.items(), max(RERANK_DEPTH, options.limit))))
        return await self._reranked(self._reranker, "\n".join(queries), candidates, options)

    async def _vectors(self, questions: Sequence[str], weights: HybridWeights) -> Sequence[Vector | None]:
        if self._embedder is None or not questions or weights.embedding_weight == 0:
            return [None] * len(questions)
        try:
            return await self._embedder.embed(questions)
        except EmbeddingFailed as error:
            # An answer by words is worth more than none.
            LOG.warning("Searching by words only: %s", error)
            return [None] * len(questions)

    async def _search_one(
        self, query: str, vector: Vector | None, stores: FilesAllowed, options: SearchOptions
    ) -> Mapping[ChunkRef, float]:
        # Without a vector the words decide, even where the caller gave them no weight.
        text_weight = options.weights.text_weight if vector else 1.0
        depth = max(CANDIDATES, options.limit)
        looks: list[Awaitable[IndexHits]] = [
            self._index.search(store_id, IndexQuery(query if text_weight else None, vector, files, depth))
            for store_id, files in stores.items()
        ]
        hits = dict(zip(stores, await asyncio.gather(*looks), strict=True))
        # BM25 depends on the store, so words are ranked store by store; a cosine means the same everywhere.
        lexical = [[_place(store_id, hit) for hit in found.lexical] for store_id, found in hits.items()]
        near = {_place(store_id, hit): hit.score for store_id, found in hits.items() for hit in found.semantic}
        halves = [WeightedRankings(text_weight, lexical)]
        if near:
            halves.append(
                WeightedRankings(options.weights.embedding_weight, [list(islice(sort_by_score(near), depth))])
            )
        return reciprocal_rank_fusion(halves)

    async def _texts(self, scores: Mapping[ChunkRef, float]) -> Sequence[ScoredChunk]:
        """The chunks with their texts, without those deleted a moment ago."""
        texts: dict[ChunkRef, str] = {}
        for store_id in {place.store_id for place in scores}:
            places = [place for place in scores if place.store_id == store_id]
            wanted = [(place.file_id, place.chunk) for place in places]
            read = await self._source.texts(store_id, wanted)
            texts |= {place: text for place, text in zip(places, read, strict=True) if text is not None}
        return [ScoredChunk(place, score, texts[place]) for place, score in scores.items() if place in texts]

    async def _reranked(
        self, reranker: Reranker, query: str, candidates: Sequence[ScoredChunk], options: SearchOptions
    ) -> Sequence[ScoredChunk]:
        try:
            scores = await reranker.rerank(query, [found.text for found in candidates])
        except EmbeddingFailed as error:
            LOG.warning("Not reranked: %s", error)
            scores = [found.score for found in candidates]
        judged = [ScoredChunk(found.place, score, found.text) for found, score in zip(candidates, scores, strict=True)]
        ranked = sorted(judged, key=lambda found: -found.score)
        return [found for found in ranked if found.score >= options.threshold][: options.limit]


def _place(store_id: VectorStoreId, hit: Hit) -> ChunkRef:
    return ChunkRef(store_id, hit.file_id, hit.chunk)
