"""Places of a worker: an upstream that answers nobody leaves room for the others, and who waits for it is passed over."""

import asyncio
from pathlib import Path

import pytest

from tests.support.databases import prepared
from tests.support.stage import PROJECT, Stage
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.outcome import Usage
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import Finish, FinishReason
from threadmill.engine.running.places import Places
from threadmill.engine.running.worker import CLAIM_BATCH


async def begun(stage: Stage, model: str) -> Run:
    """A run of a model; the stage's model takes the word before a slash for the upstream."""
    assistant, thread = await stage.assistant(), await stage.thread("hi")
    run = (await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id, model=model))).run
    await stage.settle()
    return run


async def status(stage: Stage, run: Run) -> RunStatus:
    found = await stage.store.get(Run, PROJECT, run.id)
    assert found is not None
    return found.status


def test_one_upstream_takes_its_share_of_what_the_others_leave() -> None:
    places = Places(16, 0.5)
    assert [places.take("a") for _ in range(9)] == [True] * 8 + [False]
    assert [places.take("b") for _ in range(5)] == [True] * 4 + [False]
    assert [places.take("c") for _ in range(3)] == [True] * 2 + [False]
    assert places.free == 2
    places.give_back("a")
    assert not places.has_room("a"), "the others have grown, so its share is smaller now"
    assert places.has_room("d")


def test_an_upstream_has_one_place_at_least_and_all_if_it_may() -> None:
    one = Places(1, 0.1)
    assert (one.take("a"), one.take("b"), one.free) == (True, False, 0)
    one.give_back("a")
    assert one.take("b")
    free = Places(4, 1.0)
    assert [free.take("a") for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_runs_of_other_models_go_on_while_an_upstream_answers_nobody(kind: str, tmp_path: Path) -> None:
    sqlite = (
        None if kind == "memory" else await SqliteStore.open(prepared(tmp_path / "threadmill.db"), LoggedTroubles())
    )
    stage = Stage(MemoryStore() if sqlite is None else sqlite, max_runs=4, upstream_share=0.5)
    dead = [await begun(stage, f"dead/{number}") for number in range(2 * CLAIM_BATCH)]
    assert [await status(stage, run) for run in dead[:3]] == [RunStatus.IN_PROGRESS] * 2 + [RunStatus.QUEUED]
    alive = [await begun(stage, "alive") for _ in range(3)]
    assert [await status(stage, run) for run in alive] == [RunStatus.IN_PROGRESS] + [RunStatus.QUEUED] * 2
    await stage.worker.claim_waiting()
    for number in range(3):
        turn = next(turn for turn in reversed(stage.model.turns) if turn.request.model == "alive")
        turn.end("done", Finish(FinishReason.STOP), Usage(1, 1))
        await stage.settle()
        await stage.worker.claim_waiting()
        await stage.settle()
        assert await status(stage, alive[number]) is RunStatus.COMPLETED, "it waited behind many that cannot be claimed"
    stage.model.turns[0].end("at last", Finish(FinishReason.STOP), Usage(1, 1))
    await stage.settle()
    await stage.worker.claim_waiting()
    await stage.settle()
    assert [await status(stage, run) for run in dead[:3]] == [
        RunStatus.COMPLETED,
        RunStatus.IN_PROGRESS,
        RunStatus.IN_PROGRESS,
    ], "of those who wait for one upstream the oldest comes first"
    await stage.worker.drain(0)
    await asyncio.gather(stage.search.index.aclose(), *([] if sqlite is None else [sqlite.close()]))
