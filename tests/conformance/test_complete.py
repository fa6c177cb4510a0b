"""Runs behind all other tests and looks at what they have shown (tests/support/evidence.py)."""

import pytest

from tests.conformance.page import PAGE, Facts, page, with_skipped
from tests.conformance.scope import GAPS, gap_of
from tests.support.evidence import LEDGER
from tests.support.session import SESSION, write
from tests.support.surface import everything


@pytest.fixture(autouse=True)
def whole_run() -> None:
    if not SESSION.is_whole:
        pytest.skip("only a run of all tests can tell")


def shown() -> Facts:
    """What this run shows; with tests skipped, also what it cannot deny."""
    facts = SESSION.facts()
    return with_skipped(facts, PAGE.read_text()) if SESSION.skipped else facts


def test_every_operation_parameter_value_and_event_of_the_spec_is_shown_by_some_test() -> None:
    write(SESSION.facts(), SESSION.skipped)
    lacking = sorted(fact for fact in everything() - shown().keys() if gap_of(fact) is None)
    assert lacking == []


def test_no_gap_is_listed_that_is_filled() -> None:
    hidden = everything() - shown().keys()
    needed = {gap_of(fact) for fact in hidden}
    assert [gap for gap in GAPS if gap not in needed] == []


def test_the_conformance_page_tells_what_this_run_has_shown() -> None:
    old = PAGE.read_text()
    assert page(shown(), old) == old, "stale: make docs"


def test_nothing_broke_the_schema_behind_a_tests_back() -> None:
    assert LEDGER.problems() == []
