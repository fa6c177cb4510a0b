"""What the engine does by itself: expiry, rescue of runs whose worker is lost, and going on after a bad moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.runs import STOP, begun, has_status, stored, told
from tests.support.stage import PROJECT, Stage
from tests.support.stores_in_trouble import BrokenStore, RacedStore
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.error import (
    Unavailable,
)
from threadmill.domain.ids import RunId
from threadmill.domain.outcome import Usage
from threadmill.domain.run import RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import (
    ToolCallPiece,
)
from threadmill.engine.running.reaper import sweep

COST = Usage(3, 2)


async def test_a_run_in_a_workers_hands_is_left_to_it_by_the_reaper(stage: Stage) -> None:
    run = await begun(stage)
    await sweep(stage.ports, stage.worker, 10**6, leases_before=10**6)
    assert (await stored(stage, run)).status is RunStatus.IN_PROGRESS


async def test_a_waiting_run_expires(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()
    stage.clock.at += 600
    await sweep(stage.ports, stage.worker, stage.clock.at, leases_before=stage.clock.at)
    assert (await stored(stage, run)).status is RunStatus.EXPIRED
    assert (await told(stage, run))[-2:] == ["thread.run.step.expired", "thread.run.expired"]


async def test_a_run_that_cannot_be_settled_is_reported_and_rescued_when_its_lease_ends() -> None:
    store = BrokenStore()
    stage = Stage(store)
    run = await begun(stage)
    store.reason = Unavailable("The disk is full.")
    stage.model.turns[0].end("text", STOP, COST)
    await stage.settle()
    assert "could not be settled" in stage.surprises[-1]
    store.reason = None
    stage.clock.at += 60
    await sweep(stage.ports, stage.worker, stage.clock.at, leases_before=stage.clock.at)
    assert (await stored(stage, run)).status is RunStatus.QUEUED


async def test_the_sweep_goes_on_after_a_bad_moment() -> None:
    store = BrokenStore()
    stage = Stage(store, sweep_interval=0.0)
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()
    stage.clock.at += 600
    store.reason = Unavailable("full")
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    failed = "overdue and orphaned runs failed"
    await stage.until("the failed sweep", lambda: any(failed in text for text in stage.surprises))
    store.reason = None
    await stage.until("the run to expire", has_status(stage, run, RunStatus.EXPIRED))
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)


LOOPS = {
    "queued": "claiming runs",
    "pending": "reading files",
    "extend_leases": "extending leases",
    "overdue": "looking for overdue and orphaned runs",
    "lease_expired": "looking for overdue and orphaned runs",
    "expired": "deleting expired files",
}


@pytest.mark.parametrize("call", LOOPS)
async def test_whatever_a_background_task_meets_it_is_told_and_gone_on_with(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(MemoryStore(), sweep_interval=0.0, lease=0)
    run = await begun(stage)
    owner = stage.ports.search.stores if call == "pending" else stage.store
    works, thrown, gone_on = getattr(owner, call), asyncio.Event(), asyncio.Event()

    async def fails_once(*arguments: Any, **named: Any) -> Any:
        if not thrown.is_set():
            thrown.set()
            raise RuntimeError("a bug")
        gone_on.set()
        return await works(*arguments, **named)

    monkeypatch.setattr(owner, call, fails_once)
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    stage.worker.wake()
    stage.ingester.wake()
    async with asyncio.timeout(20):
        await gone_on.wait()
    assert any(text.startswith(f"{LOOPS[call]} failed") for text in stage.surprises)
    assert not tending.done()
    assert (await stored(stage, run)).status is not RunStatus.FAILED
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)


async def test_what_does_not_get_on_is_known_while_it_does_not(stage: Stage) -> None:
    async def fails() -> None:
        raise RuntimeError("a bug")

    async def works() -> None:
        return None

    attempt = stage.engine._attempt  # pyright: ignore[reportPrivateUsage] - what /readyz says comes from it
    stage.settings = replace(stage.settings, sweep_interval=0.0)
    await attempt("x", fails)
    assert stage.ports.troubles.current() == {"x": "RuntimeError"}
    await attempt("x", works)
    assert stage.ports.troubles.current() == {}


async def test_a_run_that_is_rescued_again_and_again_without_getting_on_is_given_up(stage: Stage) -> None:
    run = await begun(stage)
    for _ in range(stage.settings.max_rescues):
        stage.hire()
        await stage.engine.requeue_orphans()
        assert (await stored(stage, run)).status is RunStatus.QUEUED
        await stage.worker.claim_waiting()
        await stage.settle()
    stage.hire()
    await stage.engine.requeue_orphans()
    found = await stored(stage, run)
    assert found.status is RunStatus.FAILED
    assert found.last_error is not None
    assert found.last_error.message == "The run was given up: its worker was lost 4 times before it could go on."


class OneBadRow(MemoryStore):
    """Whatever is read of one run's rows cannot be decoded."""

    bad: RunId | None = None

    async def steps(self, run_id: RunId) -> Sequence[RunStep]:
        if run_id == self.bad:
            raise ValueError("Object missing required field `type`")
        return await super().steps(run_id)


async def test_a_run_whose_rows_cannot_be_read_is_told_once_and_the_others_are_rescued() -> None:
    store = OneBadRow()
    stage = Stage(store)
    bad, good = await begun(stage), await begun(stage)
    store.bad = bad.id
    stage.hire()
    await stage.engine.requeue_orphans()
    await stage.engine.requeue_orphans()
    assert (await stored(stage, good)).status is RunStatus.QUEUED
    assert (await stored(stage, bad)).status is RunStatus.IN_PROGRESS
    assert [text for text in stage.surprises if bad.id in text] == [
        f"run {bad.id} could not be expired or rescued: ValueError('Object missing required field `type`')"
    ]


async def test_a_store_that_cannot_be_read_now_stops_the_sweep_and_blames_no_run() -> None:
    store = BrokenStore()
    stage = Stage(store)
    run = await begun(stage)
    stage.hire()
    store.reason = Unavailable("The disk is full.")
    with pytest.raises(Unavailable):
        await stage.engine.requeue_orphans()
    assert not any(run.id in text for text in stage.surprises)


async def test_an_orphan_of_the_process_before_is_rescued_at_start(stage: Stage) -> None:
    run = await begun(stage)
    stage.hire()
    await stage.engine.requeue_orphans()
    assert (await stored(stage, run)).status is RunStatus.QUEUED
    await stage.worker.claim_waiting()
    await stage.settle()
    assert (await stored(stage, run)).epoch == 3


async def test_the_reaper_leaves_alone_what_moved_meanwhile() -> None:
    store = RacedStore()
    stage = Stage(store)
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()

    async def cancel() -> None:
        await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)

    store.meanwhile = cancel
    stage.clock.at += 600
    await sweep(stage.ports, stage.worker, stage.clock.at, leases_before=stage.clock.at)
    assert (await stored(stage, run)).status is RunStatus.CANCELLED
