"""What a run hands to its model unread."""

from threadmill.domain.model_options import ModelOptions


def test_only_what_was_asked_for_is_given_zero_included() -> None:
    assert ModelOptions().given() == {}
    assert ModelOptions(seed=0).given() == {"seed": 0}
