"""Use cases, worker, turn and reaper on memory adapters, a fake clock and a model in the test's hands."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.support.stage import PROJECT, FakeClock, Stage
from threadmill.adapters.event_log.local import LocalEventLog
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.system.object_locks import ProcessObjectLocks
from threadmill.domain.cache_budget import CacheBudget
from threadmill.domain.command import OpenToolCalls
from threadmill.domain.decide import RunState, decide
from threadmill.domain.delta import ArgumentsDelta, ImageDelta, RefusalDelta, TextDelta, ToolCallStarted
from threadmill.domain.error import (
    Conflict,
    InvalidRequest,
    NotFound,
    ThreadLocked,
    Unavailable,
    VersionConflict,
    messages_locked,
)
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import AssistantId, CallId, FileId, Instant, MessageId, RunId, RunStepId, ThreadId
from threadmill.domain.message import (
    Attachment,
    ImageFilePart,
    ImageUrlPart,
    Message,
    MessageRole,
    MessageStatus,
    NewMessage,
    RefusalPart,
    TextPart,
)
from threadmill.domain.outcome import ErrorCode, RunIncompleteReason, Usage
from threadmill.domain.page import PageQuery
from threadmill.domain.patch import AssistantPatch, NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import NewRun, Run, RunStatus, Truncation
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.tool import ToolOutput, ToolResources
from threadmill.engine.objects import assistants, messages, runs, threads
from threadmill.engine.objects.messages import MESSAGES_AT_ONCE, new_messages
from threadmill.engine.ports.model import (
    ContextTooLong,
    Finish,
    FinishReason,
    ModelError,
    PromptRole,
    ReasoningPiece,
    RefusalPiece,
    ToolCallPiece,
)
from threadmill.engine.ports.store import Delete, StoredEvent, Update, WriteSet
from threadmill.engine.prompt.conversation import message_text
from threadmill.engine.running.commit import write_set
from threadmill.engine.running.draft import FunctionDraft
from threadmill.engine.running.reaper import sweep
from threadmill.engine.storage.retry import FIRST_DELAY, MAX_ATTEMPTS, MAX_DELAY, retry_on_conflict

STOP = Finish(FinishReason.STOP)
COST = Usage(3, 2)


@pytest.fixture
def stage() -> Stage:
    return Stage(MemoryStore())


async def begun(stage: Stage, *functions: str, said: str = "hi", **fields: Any) -> Run:
    assistant, thread = await stage.assistant(*functions), await stage.thread(said)
    accepted = await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id, **fields))
    await stage.settle()
    return accepted.run


async def stored(stage: Stage, run: Run) -> Run:
    found = await stage.store.get(Run, PROJECT, run.id)
    assert found is not None
    return found


async def told(stage: Stage, run: Run) -> list[str]:
    return [one.event.name.value for one in await stage.store.events(run.id)]


async def deltas(stage: Stage, run: Run) -> list[Any]:
    tail = stage.ports.log.tail(run.id)
    return [entry async for batch in tail for entry in batch if not isinstance(entry, StoredEvent)]


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
    assert not stage.worker.reserve()
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


async def test_many_messages_are_made_in_turns_with_all_else_and_stay_in_order(stage: Stage) -> None:
    loop, turns = asyncio.get_running_loop(), 0

    def count_turns() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(count_turns)

    said = tuple(NewMessage(MessageRole.USER, (TextPart(str(number)),)) for number in range(4 * MESSAGES_AT_ONCE))
    count_turns()
    before = turns
    made = await new_messages(stage.engine, PROJECT, ThreadId("thread_1"), said)
    assert turns - before == 3
    assert [message.content for message in made] == [new.content for new in said]


async def test_a_message_is_read_with_all_its_text_so_far_before_any_of_it_is_stored(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].say("Half a ")
    stage.model.turns[0].say("sentence")
    await stage.settle()
    page = await messages.page(stage.engine, PROJECT, run.thread_id, PageQuery(), None)
    written, said = page.items
    kept = await stage.store.get(Message, PROJECT, written.id)
    assert (written.status, written.content) == (MessageStatus.IN_PROGRESS, (TextPart("Half a sentence"),))
    assert kept is not None and kept.content == (), "the database was not asked to keep every piece"
    assert (await messages.retrieve(stage.engine, PROJECT, run.thread_id, written.id)).content == written.content
    assert (await messages.retrieve(stage.engine, PROJECT, run.thread_id, said.id)) == said
    stage.model.turns[0].end(".", STOP, COST)
    await stage.settle()
    whole = await messages.retrieve(stage.engine, PROJECT, run.thread_id, written.id)
    assert whole.content == (TextPart("Half a sentence."),)


async def test_a_message_closed_while_its_run_goes_on_is_read_as_it_is_stored(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].say("Let me see.", ToolCallPiece(0, "call_1", "f", "{"))
    await stage.settle()
    assert stage.worker.holds(run.id)
    (closed, _) = (await messages.page(stage.engine, PROJECT, run.thread_id, PageQuery(), None)).items
    assert closed == await stage.store.get(Message, PROJECT, closed.id)
    assert (closed.status, closed.content) == (MessageStatus.COMPLETED, (TextPart("Let me see."),))


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


class Broken(MemoryStore):
    """A store whose writes fail while `reason` is set."""

    reason: Exception | None = None

    async def apply(self, write_set: WriteSet) -> int:
        if self.reason is not None:
            raise self.reason
        return await super().apply(write_set)


async def test_a_run_that_cannot_be_settled_is_reported_and_rescued_when_its_lease_ends() -> None:
    store = Broken()
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


async def one_ended_one_queued(store: MemoryStore, **settings: Any) -> tuple[Stage, Run]:
    """Room for one run, taken by none, and a run that waits."""
    stage = Stage(store, max_runs=1, **settings)
    await begun(stage)
    queued = await begun(stage)
    stage.model.turns[0].end("x", STOP, COST)
    await stage.settle()
    return stage, queued


async def test_claiming_and_creating_on_a_broken_store_give_their_place_back() -> None:
    store = Broken()
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


async def test_the_sweep_goes_on_after_a_bad_moment() -> None:
    store = Broken()
    stage = Stage(store, sweep_interval=0.0)
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()
    stage.clock.at += 600
    store.reason = Unavailable("full")
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    while not any("overdue and orphaned runs failed" in text for text in stage.surprises):
        await stage.settle()
    store.reason = None
    while (await stored(stage, run)).status is not RunStatus.EXPIRED:
        await stage.settle()
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)


async def test_a_failed_claim_is_tried_again() -> None:
    store = Broken()
    stage, queued = await one_ended_one_queued(store, sweep_interval=0.0)
    store.reason = Unavailable("full")
    tending = asyncio.ensure_future(stage.engine.run_background_tasks())
    stage.worker.wake()
    while not any("claiming runs failed" in text for text in stage.surprises):
        await stage.settle()
    store.reason = None
    stage.worker.wake()
    while (await stored(stage, queued)).status is not RunStatus.IN_PROGRESS:
        await stage.settle()
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
"""Every read of a background task, and what the task is called."""


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
    store = Broken()
    stage = Stage(store)
    run = await begun(stage)
    stage.hire()
    store.reason = Unavailable("The disk is full.")
    with pytest.raises(Unavailable):
        await stage.engine.requeue_orphans()
    assert not any(run.id in text for text in stage.surprises)


async def test_a_time_out_from_inside_is_not_the_runs_expiry(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].fail(TimeoutError("somebody else's"))
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.FAILED


async def test_an_orphan_of_the_process_before_is_rescued_at_start(stage: Stage) -> None:
    run = await begun(stage)
    stage.hire()
    await stage.engine.requeue_orphans()
    assert (await stored(stage, run)).status is RunStatus.QUEUED
    await stage.worker.claim_waiting()
    await stage.settle()
    assert (await stored(stage, run)).epoch == 3


async def test_the_text_so_far_is_saved_once_a_second(stage: Stage) -> None:
    run = await begun(stage)
    turn = stage.model.turns[0]
    turn.say("one ")
    await stage.settle()
    stage.clock.ticks += 2
    turn.say("two ")
    await stage.settle()
    (message,) = [m for m in await stage.store.history(run.thread_id) if m.run_id == run.id]
    assert message.content == (TextPart("one two "),)
    assert message.status is MessageStatus.IN_PROGRESS
    with pytest.raises(Conflict):
        await messages.modify(stage.engine, PROJECT, run.thread_id, message.id, {"a": "b"})
    stage.clock.ticks += 2
    turn.end("three", STOP, COST)
    await stage.settle()
    (message,) = [m for m in await stage.store.history(run.thread_id) if m.run_id == run.id]
    assert message.content == (TextPart("one two three"),)
    texts = [delta.pieces for delta in await deltas(stage, run) if isinstance(delta, TextDelta)]
    assert texts == [("one ",), ("two ",), ("three",)]


async def test_nothing_is_saved_early_when_no_message_is_open(stage: Stage) -> None:
    run = await begun(stage)
    stage.clock.ticks += 2
    stage.model.turns[0].say("  ")
    await stage.settle()
    stage.model.turns[0].end(STOP)
    await stage.settle()
    assert (stage.surprises, (await stored(stage, run)).status) == ([], RunStatus.COMPLETED)


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


async def test_text_behind_a_call_is_left_out_and_blank_text_before_it_opens_no_message(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end(
        "", " \n", ToolCallPiece(0, None, "f"), ToolCallPiece(0, arguments="{}"), "late", STOP, COST
    )
    await stage.settle()
    found = await stored(stage, run)
    assert [call.arguments for call in found.required_action] == ["{}"]
    assert "thread.message.created" not in await told(stage, run)
    opened, grown = await deltas(stage, run)
    assert isinstance(opened, ToolCallStarted)
    assert isinstance(grown, ArgumentsDelta)


async def test_what_follows_a_refusal_is_part_of_it(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].end("Well, ", RefusalPiece("I "), "cannot", STOP, COST)
    await stage.settle()
    (message,) = [m for m in await stage.store.history(run.thread_id) if m.run_id == run.id]
    assert message.content == (TextPart("Well, "), RefusalPart("I cannot"))
    assert [d.index for d in await deltas(stage, run) if isinstance(d, RefusalDelta)] == [1, 1]
    again = await runs.create(stage.engine, PROJECT, run.thread_id, NewRun(run.assistant_id))
    await stage.settle()
    assert message_text(stage.model.turns[1].request.messages[-1]) == "Well, \nI cannot"
    await runs.cancel(stage.engine, PROJECT, run.thread_id, again.run.id)


async def test_a_call_cut_short_fails_its_step_and_ends_incomplete(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", '{"a'), Finish(FinishReason.LENGTH), COST)
    await stage.settle()
    found = await stored(stage, run)
    assert (found.status, found.incomplete_reason) == (
        RunStatus.INCOMPLETE,
        RunIncompleteReason.MAX_COMPLETION_TOKENS,
    )
    assert "thread.run.step.failed" in await told(stage, run)


async def test_a_filtered_call_fails_the_run(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), Finish(FinishReason.CONTENT_FILTER), COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.FAILED


async def test_a_spent_completion_budget_ends_the_run_before_the_next_turn(stage: Stage) -> None:
    run = await begun(stage, "f", max_completion_tokens=5)
    assert stage.model.turns[0].request.max_completion_tokens == 5
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "unknown", "{}"), STOP, Usage(1, 3))
    await stage.settle()
    assert stage.model.turns[1].request.max_completion_tokens == 2
    stage.model.turns[1].end(ToolCallPiece(0, "call_2", "unknown", "{}"), STOP, Usage(1, 2))
    await stage.settle()
    found = await stored(stage, run)
    assert found.incomplete_reason is RunIncompleteReason.MAX_COMPLETION_TOKENS


async def test_a_prompt_too_long_even_shortened_fails_the_run(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].fail(ContextTooLong("too long"))
    await stage.settle()
    found = await stored(stage, run)
    assert found.last_error is not None
    assert found.last_error.code is ErrorCode.INVALID_PROMPT


async def test_last_messages_are_never_cut_further(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread("a " * 50, "b " * 50, "c")
    new = NewRun(assistant.id, truncation=Truncation(last_messages=2))
    await runs.create(stage.engine, PROJECT, thread.id, new)
    await stage.settle()
    assert [message_text(m) for m in stage.model.turns[0].request.messages] == ["b " * 50, "c"]
    stage.model.turns[0].fail(ContextTooLong("too long"))
    await stage.settle()
    assert len(stage.model.turns) == 1


async def test_the_middle_is_dropped_to_fit_the_models_window(stage: Stage) -> None:
    stage.model.window = 100
    assistant, thread = await stage.assistant(), await stage.thread(*(f"{n} " * 20 for n in range(8)))
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    assert [message_text(m)[0] for m in stage.model.turns[0].request.messages] == ["0", "6", "7"]


async def test_a_window_too_small_for_anything_still_asks_with_the_newest(stage: Stage) -> None:
    stage.model.window = 8
    assistant, thread = await stage.assistant(), await stage.thread("a " * 20, "b " * 20)
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    assert [message_text(m)[0] for m in stage.model.turns[0].request.messages] == ["b"]


async def test_instructions_alone_over_the_prompt_budget_end_incomplete(stage: Stage) -> None:
    assistant = await stage.assistant(instructions="word " * 300)
    thread = await stage.thread("hi")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id, max_prompt_tokens=256))
    await stage.settle()
    assert (await stored(stage, accepted.run)).incomplete_reason is RunIncompleteReason.MAX_PROMPT_TOKENS


async def test_pictures_attachments_and_assistants_words_are_laid_out(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread()
    shown, book = await stage.file("a.PNG", b"png"), await stage.file("book.pdf")
    picture = (TextPart("look"), ImageUrlPart("https://x.test/a.png"), ImageFilePart(shown, "low"))
    attached = (Attachment(book, ("file_search",)), Attachment(None, None))
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, picture, attached))
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.ASSISTANT, (TextPart("ok"),)))
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    first, second = stage.model.turns[0].request.messages
    assert first.parts == (
        *picture[:2],
        ImageUrlPart("data:image/png;base64,cG5n", "low"),
        TextPart(f"Attached files: {book} ('book.pdf', for file_search)"),
    )
    assert second.role is PromptRole.ASSISTANT


async def test_a_picture_whose_bytes_are_lost_is_told_to_the_model_in_words(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread()
    shown = await stage.file("a.png", b"png")
    await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, (ImageFilePart(shown),)))
    await stage.lose_bytes(shown)
    await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    (asked,) = stage.model.turns[0].request.messages
    assert asked.parts == (TextPart(f"[The picture {shown} is deleted or too large to be shown.]"),)


async def test_text_and_calls_of_one_turn_are_one_message_to_the_upstream(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end("Let me see.", ToolCallPiece(0, "call_1", "unknown", "{}"), STOP, COST)
    await stage.settle()
    roles = [(m.role.value, len(m.tool_calls)) for m in stage.model.turns[1].request.messages]
    assert roles == [("user", 0), ("assistant", 1), ("tool", 0)]
    stage.model.turns[1].end(ToolCallPiece(0, "call_2", "unknown", "{}"), STOP, COST)
    await stage.settle()
    assert [m.role.value for m in stage.model.turns[2].request.messages][3:] == ["assistant", "tool"]
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_a_step_lost_with_its_worker_is_told_to_the_model(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].say(ToolCallPiece(0, "call_1", "f", "{}"))
    await stage.settle()
    await stage.worker.drain(0)
    stage.hire()
    await stage.worker.claim_waiting()
    await stage.settle()
    tail = stage.model.turns[1].request.messages[-1]
    assert message_text(tail) == "Error: the server stopped before this call was answered."
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


def test_arguments_are_valid_only_as_a_json_object() -> None:
    for text, valid in (("{}", True), ("[]", False), ("{", False), ("[" * 100_000, False)):
        assert FunctionDraft(CallId("c"), "f", [text]).has_valid_arguments() is valid


class HurriedClock(FakeClock):
    """Sleeping is over at once, and noted."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_lost_race_is_tried_again_with_more_and_more_time_but_not_for_ever() -> None:
    tries, clock = 0, HurriedClock()

    async def lose() -> None:
        nonlocal tries
        tries += 1
        raise VersionConflict("again")

    with pytest.raises(Unavailable, match="Too many requests change this object"):
        await retry_on_conflict(clock, lose, jitter=lambda: 1.0)
    assert tries == MAX_ATTEMPTS
    assert clock.slept[:2] == [FIRST_DELAY * 4, FIRST_DELAY * 8], "the first retry is at once"
    assert clock.slept[-1] == MAX_DELAY
    assert 1 < sum(clock.slept) < 10
    clock.slept.clear()
    with pytest.raises(Unavailable):
        await retry_on_conflict(clock, lose, jitter=lambda: 0.5)
    assert clock.slept[-1] == MAX_DELAY / 2


class Racing(MemoryStore):
    """Runs `meanwhile` once, right before the next write: somebody was faster."""

    meanwhile: Callable[[], Any] | None = None

    async def apply(self, write_set: WriteSet) -> int:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().apply(write_set)


async def test_use_cases_decide_again_after_a_lost_race() -> None:
    store = Racing()
    stage = Stage(store)
    assistant, thread = await stage.assistant(), await stage.thread("hi")
    (message,) = await store.history(thread.id)

    def bump(row: Any) -> Callable[[], Any]:
        async def write() -> None:
            kind = cast("Any", type(row))
            held: Any = await store.get(kind, PROJECT, row.id)
            assert held is not None
            await store.apply(WriteSet((Update(replace(held, version=held.version + 1), held.version),)))

        return write

    store.meanwhile = bump(assistant)
    patch = AssistantPatch(frozenset({"name"}), NewAssistant("m", name="new"))
    assert (await assistants.modify(stage.engine, PROJECT, assistant.id, patch)).name == "new"
    store.meanwhile = bump(thread)
    changed = await threads.modify(stage.engine, PROJECT, thread.id, ThreadPatch(tool_resources=ToolResources(())))
    assert (changed.metadata, changed.tool_resources) == ({}, ToolResources(()))
    store.meanwhile = bump(message)
    assert (await messages.modify(stage.engine, PROJECT, thread.id, message.id, {"a": "b"})).metadata == {"a": "b"}
    assert (await messages.modify(stage.engine, PROJECT, thread.id, message.id, None)).metadata == {"a": "b"}


async def test_what_vanishes_meanwhile_is_not_found() -> None:
    store = Racing()
    stage = Stage(store)
    assistant, thread = await stage.assistant(), await stage.thread("hi")
    (message,) = await store.history(thread.id)

    def vanish(kind: Any, object_id: Any) -> Callable[[], Any]:
        async def write() -> None:
            await store.apply(WriteSet((Delete(kind, object_id),)))

        return write

    store.meanwhile = vanish(type(message), message.id)
    with pytest.raises(NotFound):
        await messages.delete(stage.engine, PROJECT, thread.id, message.id)
    store.meanwhile = vanish(Thread, thread.id)
    new = NewMessage(MessageRole.USER, (TextPart("x"),))
    with pytest.raises(NotFound):
        await messages.create(stage.engine, PROJECT, thread.id, new)
    other = await stage.thread("hi")
    store.meanwhile = vanish(Thread, other.id)
    with pytest.raises(NotFound):
        await threads.delete(stage.engine, PROJECT, other.id)
    third = await stage.thread("hi")
    store.meanwhile = vanish(Thread, third.id)
    with pytest.raises(NotFound):
        await runs.create(stage.engine, PROJECT, third.id, NewRun(assistant.id))
    store.meanwhile = vanish(type(assistant), assistant.id)
    with pytest.raises(NotFound):
        await assistants.delete(stage.engine, PROJECT, assistant.id)


async def test_a_thread_taken_meanwhile_locks_out_the_slower_one() -> None:
    store = Racing()
    stage = Stage(store)
    assistant, thread = await stage.assistant(), await stage.thread("hi")

    async def faster() -> None:
        elsewhere = replace(stage.engine, ports=replace(stage.ports, locks=ProcessObjectLocks()))
        await runs.create(elsewhere, PROJECT, thread.id, NewRun(assistant.id))

    store.meanwhile = faster
    with pytest.raises(ThreadLocked):
        await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    active = await store.active_run(thread.id)
    assert active is not None
    with pytest.raises(ThreadLocked) as locked:
        await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, (TextPart("x"),)))
    assert locked.value.message == messages_locked(thread.id, active.id).message
    await runs.cancel(stage.engine, PROJECT, thread.id, active.id)


async def test_a_message_refused_for_a_run_that_ended_meanwhile_is_tried_again() -> None:
    class Fleeting(MemoryStore):
        lost = 0

        async def apply(self, write_set: WriteSet) -> int:
            if write_set.guards and not write_set.events and not self.lost:
                self.lost += 1
                raise VersionConflict("a run was active a moment ago")
            return await super().apply(write_set)

    stage = Stage(Fleeting())
    thread = await stage.thread()
    made = await messages.create(stage.engine, PROJECT, thread.id, NewMessage(MessageRole.USER, (TextPart("x"),)))
    assert await messages.retrieve(stage.engine, PROJECT, thread.id, made.id) == made


async def test_outputs_submitted_between_the_two_reads_are_a_lost_race_not_a_refusal() -> None:
    class Behind(MemoryStore):
        behind = 0

        async def steps(self, run_id: RunId) -> Any:
            if self.behind:
                self.behind -= 1
                return []
            return await super().steps(run_id)

    store = Behind()
    stage = Stage(store)
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()
    store.behind = 1
    outputs = (ToolOutput(CallId("call_1"), "out"),)
    accepted = await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, outputs)
    assert accepted.run.status is RunStatus.QUEUED
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_unknown_things_are_not_found(stage: Stage) -> None:
    run = await begun(stage)
    engine, nowhere = stage.engine, ThreadId("thread_x")
    for work in (
        runs.create(engine, PROJECT, nowhere, NewRun(run.assistant_id)),
        runs.create(engine, PROJECT, run.thread_id, NewRun(AssistantId("asst_x"))),
        runs.retrieve(engine, PROJECT, nowhere, run.id),
        runs.retrieve(engine, PROJECT, run.thread_id, RunId("run_x")),
        runs.page(engine, PROJECT, nowhere, PageQuery()),
        runs.retrieve_step(engine, PROJECT, run, RunStepId("step_x")),
        messages.retrieve(engine, PROJECT, run.thread_id, MessageId("msg_x")),
        messages.page(engine, PROJECT, nowhere, PageQuery(), None),
        threads.retrieve(engine, PROJECT, nowhere),
        assistants.retrieve(engine, PROJECT, AssistantId("asst_x")),
    ):
        with pytest.raises(NotFound):
            await work
    with pytest.raises(InvalidRequest):
        await runs.create_with_thread(engine, PROJECT, NewThread(), NewRun(run.assistant_id))
    await runs.cancel(engine, PROJECT, run.thread_id, run.id)


async def test_the_resources_of_a_thread_and_run_reach_the_thread(stage: Stage) -> None:
    assistant = await stage.assistant(instructions="x")
    file = await stage.file("a.csv")
    new = NewRun(assistant.id, tool_resources=ToolResources((file,)))
    accepted = await runs.create_with_thread(stage.engine, PROJECT, NewThread(), new)
    thread = await threads.retrieve(stage.engine, PROJECT, accepted.run.thread_id)
    assert thread.tool_resources.file_ids == (file,)
    page = await threads.page(stage.engine, PROJECT, PageQuery())
    assert page.items == [thread]
    await stage.settle()
    await runs.cancel(stage.engine, PROJECT, thread.id, accepted.run.id)


async def test_an_engine_that_only_serves_leaves_runs_queued(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread("hi")
    api_only = replace(stage.engine, executes=False)
    accepted = await runs.create(api_only, PROJECT, thread.id, NewRun(assistant.id))
    assert (await stored(stage, accepted.run)).status is RunStatus.QUEUED
    assert stage.model.turns == []


async def test_a_run_is_modified_only_when_it_is_over(stage: Stage) -> None:
    run = await begun(stage)
    with pytest.raises(Conflict, match="Cannot update run with status 'in_progress'"):
        await runs.modify(stage.engine, PROJECT, run.thread_id, run.id, {"a": "b"})
    stage.model.turns[0].fail(ModelError(ErrorCode.SERVER_ERROR, "x"))
    await stage.settle()
    changed = await runs.modify(stage.engine, PROJECT, run.thread_id, run.id, {"a": "b"})
    assert changed.metadata == {"a": "b"}
    assert (await runs.modify(stage.engine, PROJECT, run.thread_id, run.id, None)).metadata == {"a": "b"}


async def test_deleting_a_quiet_thread_interrupts_nobody(stage: Stage) -> None:
    thread = await stage.thread("hi")
    await threads.delete(stage.engine, PROJECT, thread.id)
    with pytest.raises(NotFound):
        await threads.retrieve(stage.engine, PROJECT, thread.id)


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
    store = Racing()
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


async def test_the_reaper_leaves_alone_what_moved_meanwhile() -> None:
    store = Racing()
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


async def test_an_idle_worker_drains_at_once(stage: Stage) -> None:
    await stage.worker.drain(60)
    assert not stage.worker.reserve()


async def test_a_prompt_is_shortened_until_it_fits(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread("a " * 50, "b " * 50, "c")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    await stage.settle()
    stage.model.turns[0].fail(ContextTooLong("too long"))
    await stage.settle()
    assert [message_text(m)[0] for m in stage.model.turns[1].request.messages] == ["a", "c"]
    stage.model.turns[1].end("fine", STOP)
    await stage.settle()
    found = await stored(stage, accepted.run)
    assert found.status is RunStatus.COMPLETED
    assert found.usage == Usage(51, 1)
    assert found.usage.total_tokens == 52


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, Usage(1, 1 + 3, 0, 3)),
        (Usage(7, 9), Usage(7, 9, 0, 3)),
        (Usage(7, 2), Usage(7, 2, 0, 2)),
        (Usage(7, 9, 0, 5), Usage(7, 9, 0, 5)),
    ],
)
async def test_hidden_thoughts_count_as_reasoning_unless_the_upstream_counts_them(
    stage: Stage, usage: Usage | None, counted: Usage
) -> None:
    run = await begun(stage)
    stage.model.turns[0].end("fine", STOP, ReasoningPiece("well well well"), *([usage] if usage else []))
    await stage.settle()
    found = await stored(stage, run)
    assert found.usage is not None
    assert replace(found.usage, prompt_tokens=counted.prompt_tokens) == counted


async def test_a_refusal_alone_is_the_whole_message(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].end(RefusalPiece("No."), STOP)
    await stage.settle()
    (message,) = [m for m in await stage.store.history(run.thread_id) if m.run_id == run.id]
    assert message.content == (RefusalPart("No."),)


async def test_an_endless_caller_is_stopped() -> None:
    stage = Stage(MemoryStore(), max_turns=2)
    run = await begun(stage, "f")
    for number in range(2):
        stage.model.turns[number].end(ToolCallPiece(0, f"call_{number}", "f", "no json"), STOP, COST)
        await stage.settle()
    found = await stored(stage, run)
    assert found.last_error is not None
    assert found.last_error.message == "The run was stopped after 2 model turns without an end."


async def test_lists_and_steps_are_read_back(stage: Stage) -> None:
    run = await begun(stage)
    stage.model.turns[0].end("hi", STOP, COST)
    await stage.settle()
    found = await runs.step_page(stage.engine, PROJECT, run, PageQuery())
    (step,) = found.items
    assert await runs.retrieve_step(stage.engine, PROJECT, run, step.id) == step
    assert len((await runs.page(stage.engine, PROJECT, run.thread_id, PageQuery())).items) == 1
    assert len((await messages.page(stage.engine, PROJECT, run.thread_id, PageQuery(), run.id)).items) == 1
    assert len((await assistants.page(stage.engine, PROJECT, PageQuery())).items) == 1


async def test_a_run_on_a_thread_nobody_spoke_in_is_refused(stage: Stage) -> None:
    assistant, thread = await stage.assistant(), await stage.thread()
    with pytest.raises(InvalidRequest) as refused:
        await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))
    assert refused.value.code == "invalid_thread"
    added = NewRun(assistant.id, additional_messages=(NewMessage(MessageRole.USER, (TextPart("x"),)),))
    accepted = await runs.create(stage.engine, PROJECT, thread.id, added)
    await stage.settle()
    await threads.delete(stage.engine, PROJECT, thread.id)
    await stage.settle()
    assert not stage.worker.holds(accepted.run.id)


async def test_a_window_the_counted_words_fit_keeps_everything(stage: Stage) -> None:
    stage.model.window = 40
    assistant = await stage.assistant(instructions="be brief")
    thread = await stage.thread("antidisestablishmentarianism", "x", "y")
    new = NewRun(assistant.id, additional_instructions="please")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, new)
    await stage.settle()
    assert accepted.run.instructions == "be brief\nplease"
    assert len(stage.model.turns[0].request.messages) == 4
    await runs.cancel(stage.engine, PROJECT, thread.id, accepted.run.id)


async def test_a_step_lost_before_its_first_call_leaves_no_trace_in_the_prompt(stage: Stage) -> None:
    run = await begun(stage, "f")
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "unknown", "{}"), STOP, COST)
    await stage.settle()
    held = await stored(stage, run)
    opened = decide(RunState(held), OpenToolCalls(stage.ids.step()), stage.clock.at)
    await stage.store.apply(write_set(RunState(held), [opened]))
    stage.hire()
    await stage.engine.requeue_orphans()
    await stage.worker.claim_waiting()
    await stage.settle()
    assert [m.role.value for m in stage.model.turns[2].request.messages] == ["user", "assistant", "tool"]
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_outputs_that_cannot_be_stored_leave_the_run_waiting() -> None:
    store = Broken()
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


async def test_an_answer_without_end_fails_its_run_and_keeps_what_fits() -> None:
    stage = Stage(MemoryStore(), max_answer=10)
    run = await begun(stage)
    stage.model.turns[0].say("12345", "67890")
    await stage.settle()
    stage.model.turns[0].say("x")
    await stage.settle()
    ended = await stored(stage, run)
    assert ended.status is RunStatus.FAILED
    assert ended.last_error is not None
    assert ended.last_error.message == "The model's answer has more than 10 characters."
    assert (await stage.store.history(run.thread_id))[-1].content == (TextPart("1234567890"),)


async def test_an_answer_of_too_many_calls_fails_its_run_in_words() -> None:
    stage = Stage(MemoryStore(), max_calls=3)
    run, allowed = await begun(stage, "f"), await begun(stage, "f")
    many = [ToolCallPiece(number, f"call_{number}", "f", "{") for number in range(3)]
    rest = [ToolCallPiece(number, arguments="}") for number in range(3)]
    stage.model.turns[0].end(*many, ToolCallPiece(3, "call_3", "f", "{}"), STOP, COST)
    stage.model.turns[1].end(*many, *rest, STOP, COST)
    await stage.settle()
    ended, waits = await stored(stage, run), await stored(stage, allowed)
    assert ended.last_error is not None
    assert (ended.status, ended.last_error.message) == (
        RunStatus.FAILED,
        "The model's answer has more than 3 tool calls.",
    )
    assert [(call.id, call.arguments) for call in waits.required_action] == [
        (f"call_{number}", "{}") for number in range(3)
    ]
    places = [delta.index for delta in await deltas(stage, allowed) if isinstance(delta, ArgumentsDelta)]
    assert places == [0, 1, 2, 0, 1, 2]


async def test_closed_logs_are_weighed_and_make_room_for_each_other(stage: Stage) -> None:
    budget = CacheBudget(100_000)
    log = LocalEventLog(stage.store, budget=budget)
    message = Message(
        MessageId("msg_1"), PROJECT, ThreadId("thread_1"), 1, MessageRole.ASSISTANT, (TextPart("x" * 20_000),)
    )
    for number in range(6):
        run = RunId(f"run_{number}")
        log.publish(run, [StoredEvent(1, Event(EventName.MESSAGE_COMPLETED, message))])
        log.publish_delta(run, TextDelta(message, 0, ("y" * 10_000,)))
        log.publish_delta(run, ImageDelta(message, 0, ImageFilePart(FileId("file_1"))))
        log.close(run)
    assert 60_000 < budget.sizes()["closed_logs"] <= 100_000


async def test_a_closed_log_of_countless_deltas_is_not_kept(stage: Stage) -> None:
    budget = CacheBudget()
    log = LocalEventLog(stage.store, budget=budget)
    message = Message(MessageId("msg_1"), PROJECT, ThreadId("thread_1"), 1, MessageRole.ASSISTANT, ())
    log.publish(RunId("run_1"), [StoredEvent(1, Event(EventName.MESSAGE_CREATED, message))])
    for _ in range(20_000):
        log.publish_delta(RunId("run_1"), TextDelta(message, 0, ("y",)))
    log.close(RunId("run_1"))
    assert budget.sizes() == {"closed_logs": 0}
