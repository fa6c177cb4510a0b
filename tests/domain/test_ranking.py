"""Rankings made one: order and scores from 0 to 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.domain.error import InvalidRequest
from threadmill.domain.ranking import (
    HybridWeights,
    WeightedRankings,
    above_threshold,
    check_weights,
    merge_best,
    reciprocal_rank_fusion,
)

RANKING = st.lists(st.integers(0, 20), unique=True)


def test_first_in_both_halves_scores_one() -> None:
    assert reciprocal_rank_fusion([WeightedRankings(1, [["a", "b"]]), WeightedRankings(1, [["a", "c"]])]) == {
        "a": 1.0,
        "b": pytest.approx(61 / 62 / 2),
        "c": pytest.approx(61 / 62 / 2),
    }


def test_a_weight_says_which_half_decides() -> None:
    assert list(reciprocal_rank_fusion([WeightedRankings(3, [["a", "b"]]), WeightedRankings(1, [["b", "a"]])])) == [
        "a",
        "b",
    ]
    assert list(reciprocal_rank_fusion([WeightedRankings(1, [["a", "b"]]), WeightedRankings(3, [["b", "a"]])])) == [
        "b",
        "a",
    ]


def test_a_half_of_no_weight_counts_nothing() -> None:
    assert reciprocal_rank_fusion([WeightedRankings(0, [["a"]]), WeightedRankings(2, [["b"]])]) == {"b": 1.0}
    assert reciprocal_rank_fusion([WeightedRankings(0, [["a"]])]) == {}


def test_the_firsts_of_two_stores_are_equally_good() -> None:
    assert reciprocal_rank_fusion([WeightedRankings(1, [["a", "b"], ["c"]])]) == {
        "a": 1.0,
        "c": 1.0,
        "b": pytest.approx(61 / 62),
    }


@given(RANKING, RANKING, st.floats(0.1, 10), st.floats(0.1, 10))
def test_scores_lie_between_zero_and_one_and_fall(
    one: list[int], other: list[int], weight: float, other_weight: float
) -> None:
    scores = reciprocal_rank_fusion([WeightedRankings(weight, [one]), WeightedRankings(other_weight, [other])])
    assert set(scores) == {*one, *other}
    assert all(0 < score <= 1 for score in scores.values())
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_of_several_questions_each_chunk_keeps_its_best_score() -> None:
    assert merge_best([{"a": 0.9, "b": 0.2}, {"b": 0.95, "a": 0.1}]) == {"b": 0.95, "a": 0.9}


def test_the_threshold_itself_is_good_enough() -> None:
    assert above_threshold({"a": 0.5, "b": 0.49}, 0.5) == {"a": 0.5}


@pytest.mark.parametrize("weights", [HybridWeights(0, 1), HybridWeights(1, 0), HybridWeights(0.2, 5)])
def test_weights_may_leave_one_half_out(weights: HybridWeights) -> None:
    assert check_weights(weights) is weights


@pytest.mark.parametrize(
    ("weights", "param"),
    [
        (HybridWeights(0, 0), "ranking_options.hybrid_search"),
        (HybridWeights(-1, 1), "ranking_options.hybrid_search.embedding_weight"),
        (HybridWeights(1, -1), "ranking_options.hybrid_search.text_weight"),
        (HybridWeights(1e308, 1), "ranking_options.hybrid_search.embedding_weight"),
        (HybridWeights(1, 1_000_001), "ranking_options.hybrid_search.text_weight"),
    ],
)
def test_weights_that_leave_nothing_or_have_no_bound_are_refused(weights: HybridWeights, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_weights(weights)
    assert refused.value.param == param
