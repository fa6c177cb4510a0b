"""Body of a search in a vector store (behaviour.md 7.5)."""

from typing import Annotated, Literal

from pydantic import Field

from threadmill.domain.new_store import StoreSearch
from threadmill.domain.ranking import HybridWeights
from threadmill.wire.request import shared_fields
from threadmill.wire.request.body import Body
from threadmill.wire.request.filters import BoundedFilter, filter_of
from threadmill.wire.request.item_limit import ItemLimit
from threadmill.wire.request.union import ARRAY, BY_JSON_TYPE, STRING

MAX_QUERIES = 32
"""Queries of one search."""

MAX_QUERY = 8_192
"""Characters of a query."""

Query = Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
Queries = Annotated[
    Annotated[Query, STRING] | Annotated[Annotated[list[Query], ItemLimit(MAX_QUERIES, least=1)], ARRAY],
    BY_JSON_TYPE,
]


class SearchRankingBody(Body):
    """`ranking_options`; these rankers have other names than the tool's."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: shared_fields.Score = 0.0
    hybrid_search: shared_fields.HybridBody | None = None


class SearchStore(Body):
    """POST /vector_stores/{id}/search."""

    query: Queries
    rewrite_query: bool = False
    """Understood and without effect: what is searched for is what was asked."""
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    filters: BoundedFilter | None = None
    ranking_options: SearchRankingBody = SearchRankingBody()

    def to_domain(self) -> StoreSearch:
        """Defaults filled in."""
        ranking = self.ranking_options
        return StoreSearch(
            queries=(self.query,) if isinstance(self.query, str) else tuple(self.query),
            filters=None if self.filters is None else filter_of(self.filters),
            limit=self.max_num_results,
            threshold=ranking.score_threshold,
            weights=HybridWeights() if ranking.hybrid_search is None else ranking.hybrid_search.to_domain(),
            rerank=ranking.ranker != "none",
        )
