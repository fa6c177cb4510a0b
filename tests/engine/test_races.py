"""Somebody else was faster: a use case decides again, or says what is left."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.support.runs import STOP, begun
from tests.support.stage import PROJECT, FakeClock, Stage
from tests.support.stores_in_trouble import RacedStore
from threadmill.adapters.memory.store import MemoryStore
from threadmill.adapters.system.object_locks import ProcessObjectLocks
from threadmill.domain.error import (
    NotFound,
    ThreadLocked,
    Unavailable,
    VersionConflict,
    messages_locked,
)
from threadmill.domain.ids import CallId, RunId
from threadmill.domain.message import (
    MessageRole,
    NewMessage,
    TextPart,
)
from threadmill.domain.outcome import Usage
from threadmill.domain.patch import AssistantPatch, NewAssistant, ThreadPatch
from threadmill.domain.run import NewRun, RunStatus
from threadmill.domain.thread import Thread
from threadmill.domain.tool import ToolOutput, ToolResources
from threadmill.engine.objects import assistants, messages, runs, threads
from threadmill.engine.ports.model import (
    ToolCallPiece,
)
from threadmill.engine.ports.store import Delete, Update, WriteSet
from threadmill.engine.storage.retry import FIRST_DELAY, MAX_ATTEMPTS, MAX_DELAY, retry_on_conflict

COST = Usage(3, 2)


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


async def test_use_cases_decide_again_after_a_lost_race() -> None:
    store = RacedStore()
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
    store = RacedStore()
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
    store = RacedStore()
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
