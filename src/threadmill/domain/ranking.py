"""Two rankings made one: reciprocal rank fusion with scores from 0 to 1 (behaviour.md 7.5)."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from threadmill.domain.error import InvalidRequest

K = TypeVar("K", bound=Hashable)

MAX_WEIGHT = 1_000_000.0
"""Of a half; only their proportion counts, and sums of numbers without a bound are infinite."""

RRF_K = 60
"""Ranks behind which a hit counts half as much as the first; the constant of the method's paper."""


@dataclass(frozen=True, slots=True)
class HybridWeights:
    """`hybrid_search`: what nearness of meaning and what common words count. At least one is above 0."""

    embedding_weight: float = 1.0
    text_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class WeightedRankings(Generic[K]):
    """One way of ranking: `weight`, and one or several rankings, best first, that share no key (one a store)."""

    weight: float
    rankings: Sequence[Sequence[K]]


def check_weights(weights: HybridWeights, param: str = "ranking_options.hybrid_search") -> HybridWeights:
    """`weights` themselves. Raises InvalidRequest when one is negative or above MAX_WEIGHT, or both are 0."""
    for name, value in (("embedding_weight", weights.embedding_weight), ("text_weight", weights.text_weight)):
        if value < 0:
            text = f"decimal below minimum value. Expected a value >= 0, but got {value:g} instead."
            raise InvalidRequest(
                f"Invalid '{param}.{name}': {text}", param=f"{param}.{name}", code="decimal_below_min_value"
            )
        if value > MAX_WEIGHT:
            text = f"decimal above maximum value. Expected a value <= {MAX_WEIGHT:g}, but got {value:g} instead."
            raise InvalidRequest(
                f"Invalid '{param}.{name}': {text}", param=f"{param}.{name}", code="decimal_above_max_value"
            )
    if weights.embedding_weight == weights.text_weight == 0:
        text = "Expected 'embedding_weight' or 'text_weight' to be greater than 0."
        raise InvalidRequest(f"Invalid '{param}'. {text}", param=param, code="invalid_value")
    return weights


def reciprocal_rank_fusion(halves: Iterable[WeightedRankings[K]], k: int = RRF_K) -> dict[K, float]:
    """Every key's score, best first; equal scores stay in the order they came in.

    1 is the first place in every half. A half of weight 0 counts nothing, and keys only it has are left out.
    """
    counted = [half for half in halves if half.weight > 0]
    best = sum(half.weight for half in counted) / (k + 1)
    scores: dict[K, float] = {}
    for half in counted:
        for ranking in half.rankings:
            for rank, key in enumerate(ranking, 1):
                scores[key] = scores.get(key, 0.0) + half.weight / (k + rank) / best
    return sort_by_score({key: min(1.0, score) for key, score in scores.items()})


def merge_best(rankings: Iterable[Mapping[K, float]]) -> dict[K, float]:
    """Several queries' scores as one: each key has the best it got."""
    best: dict[K, float] = {}
    for scores in rankings:
        for key, score in scores.items():
            best[key] = max(score, best.get(key, 0.0))
    return sort_by_score(best)


def sort_by_score(scores: Mapping[K, float]) -> dict[K, float]:
    """Sorted by score, highest first; equal ones keep their order."""
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def above_threshold(scores: Mapping[K, float], threshold: float) -> dict[K, float]:
    """Without those below `score_threshold`."""
    return {key: score for key, score in scores.items() if score >= threshold}
