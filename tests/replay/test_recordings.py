"""Every real recording plays against a live server with no difference the written list does not name."""

from pathlib import Path

from tools.replay.known import read_list
from tools.replay.recording import load
from tools.replay.replay import replay
from tools.replay.report import lines, ok

RECORDINGS = Path(__file__).parent / "recordings"


async def test_every_recording_plays_with_no_difference_but_those_on_the_list() -> None:
    known = read_list()
    outcomes = await replay(load(RECORDINGS), known)
    stale = known.stale({outcome.name: outcome.is_whole for outcome in outcomes})
    assert ok(outcomes, stale), "\n".join(lines(outcomes, stale))
    assert len(outcomes) == 9
    assert all(outcome.is_whole or outcome.stopped for outcome in outcomes)
