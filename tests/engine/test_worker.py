"""The worker: room for runs, claims and leases, and how an execution ends when something goes wrong."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.runs import STOP, begun, has_status, stored, told
from tests.support.stage import PROJECT, Stage
from tests.support.stores_in_trouble import BrokenStore, RacedStore
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.error import (
    Unavailable,
    VersionConflict,
)
from threadmill.domain.ids import CallId, Instant, RunId
from threadmill.domain.message import (
    MessageRole,
    NewMessage,
    TextPart,
)
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.patch import NewThread
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.tool import ToolOutput
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import (
    Finish,
    FinishReason,
    ModelError,
    ToolCallPiece,
)
from threadmill.engine.ports.store import Update, WriteSet

COST = Usage(3, 2)


async def test_a_run_without_room_waits_as_queued_and_is_claimed_later() -> None:
    stage = Stage(MemoryStore(), max_runs=1)
    first, second = await begun(stage), await begun(stage)
    assert (await stored(stage, second)).status is RunStatus.QUEUED
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    stage.model.turns[0].end("one", STOP, COST)
    await stage.settle()
    assert (await stored(stage, first)).status is RunStatus.COMPLETED
    assert (await stored(stage, second)).status is RunStatus.IN_PROGRESS
    stage.model.turns[1].end("two", STOP, COST)
    await stage.settle()
    assert (await stored(stage, second)).status is RunStatus.COMPLETED
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)


async def test_a_run_answered_without_room_waits_too() -> None:
    stage = Stage(MemoryStore(), max_runs=1)
    waiting = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), Finish(FinishReason.TOOL_CALLS), COST)
    await stage.settle()
    await begun(stage)
    outputs = (ToolOutput(CallId("call_1"), "out"),)
    accepted = await runs.submit_tool_outputs(stage.engine, PROJECT, waiting.thread_id, waiting.id, outputs)
    assert accepted.run.status is RunStatus.QUEUED
    assert (await stored(stage, waiting)).status is RunStatus.QUEUED
    cancelled = await runs.cancel(stage.engine, PROJECT, waiting.thread_id, waiting.id)
    assert cancelled.status is RunStatus.CANCELLING
    assert (await stored(stage, waiting)).status is RunStatus.CANCELLED


async def test_a_draining_worker_takes_nothing_and_gives_back_what_it_has(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].say("half ")
    await stage.settle()
    await stage.worker.drain(0)
    found = await stored(stage, run)
    assert (found.status, found.lease_until) == (RunStatus.QUEUED, None)
    assert found.rescues == 0, "a planned stop is no sign that the run brings its worker down"
    assert stage.worker.reserve("m") is None
    await stage.worker.claim_waiting()
    assert not stage.worker.holds(run.id)


async def test_a_lost_claim_is_let_go_at_the_next_beat(stage: Stage) -> None:
    run = await begun(stage)
    held = await stored(stage, run)
    taken = replace(held, epoch=held.epoch + 1, version=held.version + 1)
    await stage.store.apply(WriteSet((Update(taken, held.version),)))
    await stage.worker.heartbeat()
    await stage.settle()
    assert not stage.worker.holds(run.id)
    assert await stored(stage, run) == taken


async def test_a_beat_that_is_refused_for_what_is_over_stops_no_new_execution_of_the_run() -> None:
    class Slow(MemoryStore):
        """An extension takes as long as the run needs to ask its client, be answered and go on."""

        meanwhile: Callable[[], Any] | None = None

        async def extend_leases(self, claims: Mapping[RunId, int], until: Instant) -> frozenset[RunId]:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                await meanwhile()
            return await super().extend_leases(claims, until)

    store = Slow()
    stage = Stage(store)
    run = await begun(stage, "f")

    async def answered() -> None:
        stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
        await stage.settle()
        outputs = (ToolOutput(CallId("call_1"), "out"),)
        await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, outputs)
        await stage.settle()

    store.meanwhile = answered
    await stage.worker.heartbeat()
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.IN_PROGRESS
    stage.model.turns[1].end("done", STOP, COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.COMPLETED


async def test_a_beat_keeps_the_lease(stage: Stage) -> None:
    run = await begun(stage)
    stage.clock.at += 20
    await stage.worker.heartbeat()
    assert (await stored(stage, run)).lease_until == stage.clock.at + stage.settings.lease


async def test_a_run_whose_time_is_over_when_it_starts_expires_at_once() -> None:
    stage = Stage(MemoryStore(), run_ttl=0)
    run = await begun(stage)
    assert (await stored(stage, run)).status is RunStatus.EXPIRED


async def test_a_surprise_fails_the_run_and_is_reported(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].fail(RuntimeError("boom"))
    await stage.settle()
    found = await stored(stage, run)
    assert found.last_error is not None
    assert (found.status, found.last_error.message) == (RunStatus.FAILED, "Sorry, something went wrong.")
    assert "boom" in stage.surprises[0]


async def one_ended_one_queued(store: MemoryStore, **settings: Any) -> tuple[Stage, Run]:
    """Room for one run, taken by none, and a run that waits."""
    stage = Stage(store, max_runs=1, **settings)
    await begun(stage)
    queued = await begun(stage)
    stage.model.turns[0].end("x", STOP, COST)
    await stage.settle()
    return stage, queued


async def test_claiming_and_creating_on_a_broken_store_give_their_place_back() -> None:
    store = BrokenStore()
    stage, queued = await one_ended_one_queued(store)
    store.reason = Unavailable("full")
    with pytest.raises(Unavailable):
        await stage.worker.claim_waiting()
    thread = NewThread((NewMessage(MessageRole.USER, (TextPart("x"),)),))
    with pytest.raises(Unavailable):
        await runs.create_with_thread(stage.engine, PROJECT, thread, NewRun(queued.assistant_id))
    store.reason = VersionConflict("somebody else claimed it")
    await stage.worker.claim_waiting()
    store.reason = None
    await stage.worker.claim_waiting()
    await stage.settle()
    assert (await stored(stage, queued)).status is RunStatus.IN_PROGRESS


async def test_a_failed_claim_is_tried_again() -> None:
    store = BrokenStore()
    stage, queued = await one_ended_one_queued(store, sweep_interval=0.0)
    store.reason = Unavailable("full")
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    stage.worker.wake()
    await stage.until("the failed claim", lambda: any("claiming runs failed" in text for text in stage.surprises))
    store.reason = None
    stage.worker.wake()
    await stage.until("the run to be claimed", has_status(stage, queued, RunStatus.IN_PROGRESS))
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)


async def test_a_run_stopped_without_a_reason_goes_back_to_the_queue_and_is_told(stage: Stage) -> None:
    run = await begun(stage)
    stage.worker.interrupt(run.id)
    await stage.settle()
    found = await stored(stage, run)
    assert (found.status, found.rescues) == (RunStatus.QUEUED, 1)
    assert any("stopped without a reason" in text for text in stage.surprises)
    await stage.worker.claim_waiting()
    await stage.settle()
    stage.model.turns[-1].end("done", STOP, COST)
    await stage.settle()
    found = await stored(stage, run)
    assert (found.status, found.rescues) == (RunStatus.COMPLETED, 0)


async def test_a_time_out_from_inside_is_not_the_runs_expiry(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].fail(TimeoutError("somebody else's"))
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.FAILED


async def test_a_cancel_in_the_midst_of_a_commit_waits_for_its_outcome() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    class Slow(MemoryStore):
        held = False

        async def apply(self, write_set: WriteSet) -> int:
            if self.held and any(event.name.value == "thread.message.created" for event in write_set.events):
                entered.set()
                await gate.wait()
            return await super().apply(write_set)

    store = Slow()
    stage = Stage(store)
    run = await begun(stage)
    store.held = True
    stage.model.turns[0].say("word")
    await entered.wait()
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    gate.set()
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.CANCELLED
    names = await told(stage, run)
    assert names[-3:] == ["thread.message.incomplete", "thread.run.step.cancelled", "thread.run.cancelled"]


async def test_a_run_changed_by_somebody_else_goes_back_to_the_queue_rather_than_stay_locked(stage: Stage) -> None:
    run = await begun(stage)
    held = await stored(stage, run)
    await stage.store.apply(WriteSet((Update(replace(held, version=held.version + 1), held.version),)))
    stage.model.turns[0].end("x", STOP, COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.QUEUED


async def test_an_engine_that_only_serves_leaves_runs_queued(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread("hi")
    api_only = replace(stage.engine, executes=False)
    accepted = await runs.create(api_only, PROJECT, thread.id, NewRun(assistant.id))
    assert (await stored(stage, accepted.run)).status is RunStatus.QUEUED
    assert stage.model.turns == []


async def test_an_interrupt_right_behind_a_required_action_changes_nothing() -> None:
    stage = Stage(MemoryStore())

    class Interrupting(MemoryStore):
        async def apply(self, write_set: WriteSet) -> int:
            if any(event.name.value == "thread.run.requires_action" for event in write_set.events):
                stage.worker.interrupt(write_set.run_id or RunId(""))
            return await super().apply(write_set)

    stage.store = Interrupting()
    stage.hire()
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", ""), STOP, COST)
    await stage.settle()
    found = await stored(stage, run)
    assert found.status is RunStatus.REQUIRES_ACTION
    assert found.required_action[0].arguments == "{}"


async def test_a_run_that_failed_while_it_was_cancelled_ends_cancelled() -> None:
    store = RacedStore()
    stage = Stage(store)
    run = await begun(stage)

    async def cancel() -> None:
        held = await stored(stage, run)
        cancelling = replace(held, status=RunStatus.CANCELLING, version=held.version + 1)
        await store.apply(WriteSet((Update(cancelling, held.version),)))

    store.meanwhile = cancel
    stage.model.turns[0].fail(ModelError(ErrorCode.SERVER_ERROR, "x"))
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.CANCELLED


async def test_an_idle_worker_drains_at_once(stage: Stage) -> None:
    await stage.worker.drain(60)
    assert stage.worker.reserve("m") is None


async def test_outputs_that_cannot_be_stored_leave_the_run_waiting() -> None:
    store = BrokenStore()
    stage = Stage(store, max_runs=1)
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()
    outputs = (ToolOutput(CallId("call_1"), "out"),)
    store.reason = Unavailable("full")
    with pytest.raises(Unavailable):
        await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, outputs)
    store.reason = None
    assert (await stored(stage, run)).status is RunStatus.REQUIRES_ACTION
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, outputs)
    await stage.settle()
    assert stage.worker.holds(run.id)
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_a_run_that_can_never_be_settled_is_told_and_left_to_its_lease() -> None:
    store = BrokenStore()
    stage = Stage(store)
    run = await begun(stage)
    store.reason = VersionConflict("a row of it that nobody sees has changed")
    stage.model.turns[0].end("text", STOP)
    await stage.settle()
    assert "could not be settled" in stage.surprises[-1]
    assert not stage.worker.holds(run.id)
