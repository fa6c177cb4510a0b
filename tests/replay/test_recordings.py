"""Every recording, real or written by hand, plays against a live server with nothing the written list does not name."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.replay import written_by_hand, written_files
from tests.support.witness import Witnessed
from tools.replay.known import Known, read_list
from tools.replay.recording import load
from tools.replay.replay import Options, replay
from tools.replay.report import Outcome, lines

REAL = Path(__file__).parent / "recordings"
NAMES = sorted(path.stem for path in REAL.glob("*.json"))
BY_HAND = [*written_by_hand.written.scribes(), *written_files.written.scribes()]


@pytest.fixture(scope="module")
def known() -> Known:
    return read_list()


@pytest.fixture(scope="module")
def outcomes(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """All of them, played once, from files as any other."""
    directory = tmp_path_factory.mktemp("by-hand")
    for scribe in BY_HAND:
        scribe.save(directory)
    played = asyncio.run(replay(load(REAL, directory)[0], known, Options(around=Witnessed)))
    return {outcome.name: outcome for outcome in played}


@pytest.mark.parametrize("name", NAMES)
def test_a_real_recording_shows_no_difference_but_those_on_the_list(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert not outcome.unexplained, "\n".join(lines([outcome], ()))
    assert outcome.stopped is not None or len(outcome.judged) == outcome.length
    assert not outcome.notes


@pytest.mark.parametrize("name", [scribe.name for scribe in BY_HAND])
def test_a_case_no_recording_shows_is_played_all_the_same(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert not outcome.unexplained, "\n".join(lines([outcome], ()))
    assert outcome.stopped is not None or len(outcome.judged) == outcome.length
    assert not outcome.notes


def test_no_row_of_the_list_is_stale(outcomes: Mapping[str, Outcome], known: Known) -> None:
    played = {outcome.name: outcome.is_whole for outcome in outcomes.values()}
    assert known.stale(played) == []


def test_every_row_of_the_list_is_seen_in_a_recording_that_exists(known: Known) -> None:
    names = {*NAMES, *(scribe.name for scribe in BY_HAND)}
    for row in (*known.meant, *known.not_built):
        assert row.reason
        assert set(row.seen_in) <= names, row.name
