"""A database that cannot be used for a while ends no run: what cannot be written now is written later."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import prepared
from tests.support.runs import STOP, begun, has_status, stored
from tests.support.stage import PROJECT, Stage
from tests.support.waiting import until
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.delta import TextDelta
from threadmill.domain.error import DatabaseUnavailable
from threadmill.domain.ids import CallId, RunId
from threadmill.domain.message import Message, MessageStatus, TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.domain.tool import ToolOutput
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import ModelError, ToolCallPiece
from threadmill.engine.ports.store import StoredEvent, Update, WriteSet
from threadmill.engine.running.execution import FIRST_DELAY, MAX_DELAY
from threadmill.engine.running.reaper import sweep

COST = Usage(3, 2)


class Away(MemoryStore):
    """A store that can be away: for writes, for reads, or for looking up single objects."""

    writes: Exception | None = None
    reads: Exception | None = None
    looks: Exception | None = None

    async def get(self, *args: Any, **named: Any) -> Any:
        if self.looks is not None:
            raise self.looks
        return await super().get(*args, **named)

    async def apply(self, write_set: WriteSet) -> int:
        if self.writes is not None:
            raise self.writes
        return await super().apply(write_set)

    async def history(self, *args: Any, **named: Any) -> Any:
        if self.reads is not None:
            raise self.reads
        return await super().history(*args, **named)


LOCKED = DatabaseUnavailable("The database cannot be used right now: database is locked.")


async def said(stage: Stage, run: Run) -> Message:
    (message,) = [one for one in await stage.store.history(run.thread_id) if one.run_id == run.id]
    return message


async def streamed(stage: Stage, run: Run) -> str:
    tail = stage.ports.log.tail(run.id)
    entries = [entry async for batch in tail for entry in batch if not isinstance(entry, StoredEvent)]
    return "".join(text for entry in entries if isinstance(entry, TextDelta) for text in entry.pieces)


async def begun_without_reads() -> tuple[Stage, Run]:
    """A run that waits for what it must read."""
    store = Away()
    stage = Stage(store)
    assistant, thread = await stage.assistant(instructions="x"), await stage.thread("hi")
    store.reads = LOCKED
    run = (await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id))).run
    await stage.settle()
    return stage, run


async def test_a_draft_that_cannot_be_saved_is_saved_later_and_the_stream_goes_on() -> None:
    store = Away()
    stage = Stage(store)
    run = await begun(stage)
    turn = stage.model.turns[0]
    turn.say("one ")
    await stage.settle()
    store.writes = LOCKED
    for word in ("two ", "three "):
        stage.clock.ticks += 2
        turn.say(word)
        await stage.settle()
    assert (await said(stage, run)).content == ()
    store.writes = None
    stage.clock.ticks += 2
    turn.say("four ")
    await stage.settle()
    assert (await said(stage, run)).content == (TextPart("one two three four "),)
    turn.end("five", STOP, COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.COMPLETED
    assert (await said(stage, run)).content == (TextPart("one two three four five"),)
    assert await streamed(stage, run) == "one two three four five"
    assert stage.surprises == []


async def test_every_commit_of_a_run_waits_for_the_database_longer_each_time() -> None:
    store = Away()
    stage = Stage(store)
    run = await begun(stage, "f")
    store.writes = LOCKED
    stage.model.turns[0].end("Let me see.", ToolCallPiece(0, "call_1", "f", "{}"), STOP, COST)
    await stage.settle()
    waited = [stage.clock.wake_next()]
    for _ in range(7):
        await stage.settle()
        waited.append(stage.clock.wake_next())
    assert waited[0] == FIRST_DELAY
    assert waited[1] == pytest.approx(2 * FIRST_DELAY)  # pyright: ignore[reportUnknownMemberType] - pytest's own
    assert waited[-1] == pytest.approx(MAX_DELAY)  # pyright: ignore[reportUnknownMemberType] - pytest's own
    store.writes = None

    async def next_pause() -> None:
        await stage.settle()
        if stage.clock.sleepers:
            stage.clock.wake_next()

    await until("the run to ask for its function", has_status(stage, run, RunStatus.REQUIRES_ACTION), next_pause)
    outputs = (ToolOutput(CallId("call_1"), "out"),)
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, outputs)
    await stage.settle()
    stage.model.turns[1].end("done", STOP, COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.COMPLETED
    assert len(stage.model.turns) == 2, "no turn was asked for twice"
    assert stage.surprises == []


async def test_a_run_that_ends_badly_meanwhile_ends_with_its_own_error() -> None:
    store = Away()
    stage = Stage(store)
    run = await begun(stage)
    store.writes = LOCKED
    stage.model.turns[0].fail(ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, "slow down"))
    await stage.settle()
    store.writes = None
    stage.clock.wake_next()
    await stage.settle()
    ended = await stored(stage, run)
    assert ended.last_error is not None
    assert (ended.status, ended.last_error.message) == (RunStatus.FAILED, "slow down")


async def test_what_a_run_reads_is_waited_for_too() -> None:
    stage, run = await begun_without_reads()
    assert stage.model.turns == []
    stage.store.reads = None
    stage.clock.wake_next()
    await stage.settle()
    stage.model.turns[0].end("x", STOP, COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.COMPLETED


async def test_a_run_waits_no_longer_than_its_own_time_and_then_expires() -> None:
    store = Away()
    stage = Stage(store)
    run = await begun(stage)
    store.writes = LOCKED
    stage.model.turns[0].end("text", STOP, COST)
    await stage.settle()
    stage.clock.at += stage.settings.run_ttl
    stage.clock.wake_next()
    await stage.settle()
    assert not stage.worker.holds(run.id)
    assert any("could not be settled" in text for text in stage.surprises)
    store.writes = None
    await sweep(stage.ports, stage.worker, stage.clock.at, leases_before=stage.clock.at)
    assert (await stored(stage, run)).status is RunStatus.EXPIRED


async def test_a_claim_that_was_lost_meanwhile_ends_the_wait() -> None:
    store = Away()
    stage = Stage(store)
    run = await begun(stage)
    stage.model.turns[0].say("one ")
    await stage.settle()
    store.writes = LOCKED
    stage.model.turns[0].end("two", STOP, COST)
    await stage.settle()
    store.writes = None
    elsewhere = Stage(store)
    elsewhere.clock.at = stage.clock.at + 60
    await sweep(elsewhere.ports, elsewhere.worker, elsewhere.clock.at, leases_before=elsewhere.clock.at)
    stage.clock.wake_next()
    await stage.settle()
    assert not stage.worker.holds(run.id)
    assert (await stored(stage, run)).status is RunStatus.QUEUED


async def interrupted(store: Away) -> tuple[Stage, Run]:
    """A run that was cancelled by its client, whose worker cannot look up why it was stopped."""
    stage = Stage(store)
    run = await begun(stage)
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    stage.worker.interrupt(run.id)
    return stage, run


async def test_a_run_that_is_stopped_meanwhile_learns_why_when_the_database_is_back() -> None:
    store = Away()
    stage, run = await interrupted(store)
    store.looks = LOCKED
    await stage.settle()
    store.looks = None
    stage.clock.wake_next()
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.CANCELLED
    assert stage.surprises == []


async def test_a_stopped_run_whose_row_cannot_be_looked_up_at_all_is_told_and_left_to_its_lease() -> None:
    store = Away()
    stage, run = await interrupted(store)
    store.looks = RuntimeError("a bug")
    await stage.settle()
    assert stage.surprises == [f"run {run.id} could not be settled: {store.looks!r}"]
    assert not stage.worker.holds(run.id)


async def test_a_draft_that_finds_its_claim_lost_stops_the_run() -> None:
    stage = Stage(Away())
    run = await begun(stage)
    stage.model.turns[0].say("one ")
    await stage.settle()
    held = await stored(stage, run)
    taken = replace(held, epoch=held.epoch + 1, version=held.version + 1)
    await stage.store.apply(WriteSet((Update(taken, held.version),)))
    for word in ("two ", "three "):
        stage.clock.ticks += 2
        stage.model.turns[0].say(word)
        await stage.settle()
    assert not stage.worker.holds(run.id)
    assert await stored(stage, run) == taken


async def test_a_server_that_stops_waits_for_no_database() -> None:
    store = Away()
    stage = Stage(store)
    run = await begun(stage)
    store.writes = LOCKED
    stage.model.turns[0].end("text", STOP, COST)
    await stage.settle()
    await stage.worker.drain(0)
    assert not stage.worker.holds(run.id)
    store.writes = None
    stage.hire()
    await stage.engine.requeue_orphans()
    assert (await stored(stage, run)).status is RunStatus.QUEUED


async def test_what_is_still_read_when_the_time_is_over_leaves_the_run_to_the_queue() -> None:
    stage, run = await begun_without_reads()
    stage.clock.at += stage.settings.run_ttl
    stage.clock.wake_next()
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.QUEUED
    assert any("goes back to the queue" in text for text in stage.surprises)


async def test_text_that_cannot_be_stored_does_not_leave_its_run_active(tmp_path: Path) -> None:
    store = await SqliteStore.open(prepared(tmp_path / "threadmill.db"), LoggedTroubles())
    stage = Stage(store)
    run = await begun(stage)
    stage.model.turns[0].say("half a pair: \ud83d")
    await stage.settle()
    stage.model.turns[0].end(STOP, COST)
    await stage.settle()
    ended = await stored(stage, run)
    assert (ended.status, ended.lease_until) == (RunStatus.FAILED, None)
    assert (await said(stage, run)).status is MessageStatus.INCOMPLETE
    assert any("cannot be stored and is left out" in text for text in stage.surprises)
    await stage.thread("free")
    await store.close()


async def test_a_call_that_cannot_be_stored_does_not_either(tmp_path: Path) -> None:
    store = await SqliteStore.open(prepared(tmp_path / "threadmill.db"), LoggedTroubles())
    stage = Stage(store)
    run = await begun(stage, "f")
    stage.model.turns[0].say(ToolCallPiece(0, "call_1", "f", '{"a": "\ud83d"}'))
    await stage.settle()
    stage.model.turns[0].end(STOP, COST)
    await stage.settle()
    assert (await stored(stage, run)).status is RunStatus.FAILED
    (step,) = await store.steps(RunId(run.id))
    assert isinstance(step, RunStep)
    assert step.tool_calls == ()
    await store.close()
