"""An answer that arrives at once is one durable commit, and the same to its readers as one that comes piece by piece."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.support.stage import PROJECT, Stage
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.message import Message, MessageStatus, TextPart
from threadmill.domain.outcome import Usage
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.domain.tool import CodeInterpreterTool, ToolOutput
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import Finish, FinishReason, Piece, ToolCallPiece
from threadmill.engine.ports.store import StoredEvent, Update, WriteSet

STOP, CALLS, COST = Finish(FinishReason.STOP), Finish(FinishReason.TOOL_CALLS), Usage(3, 2)
CALL = (ToolCallPiece(0, "call_1", "f", '{"a":'), ToolCallPiece(0, arguments="1}"))


class Counting(MemoryStore):
    """Knows the events of each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[list[str]] = []

    async def apply(self, write_set: WriteSet) -> int:
        first = await super().apply(write_set)
        if write_set.events:
            self.commits.append([event.name.value.removeprefix("thread.") for event in write_set.events])
        return first


async def begun(stage: Stage, *functions: str, **fields: Any) -> Run:
    assistant, thread = await stage.assistant(*functions), await stage.thread("hi")
    accepted = await runs.create(stage.engine, PROJECT, thread.id, NewRun(assistant.id, **fields))
    await stage.settle()
    return accepted.run


async def played(stage: Stage, *batches: Sequence[Piece]) -> list[str]:
    """What a reader of a run is told when the model says this: names of events, and kinds of deltas."""
    run = await begun(stage, "f")
    turn = stage.model.turns[-1]
    for batch in batches:
        turn.say(*batch)
        await stage.settle()
    turn.end()
    await stage.settle()
    tail = stage.ports.log.tail(run.id)
    entries = [entry async for batch in tail for entry in batch]
    assert [entry.seq for entry in entries if isinstance(entry, StoredEvent)] == list(
        range(1, 1 + sum(isinstance(entry, StoredEvent) for entry in entries))
    )
    return [entry.event.name.value if isinstance(entry, StoredEvent) else type(entry).__name__ for entry in entries]


async def test_a_text_that_arrives_at_once_is_opened_and_closed_in_one_commit() -> None:
    store = Counting()
    told = await played(Stage(store), ("Hello ", "there", STOP, COST))
    assert store.commits == [
        ["run.created", "run.queued", "run.in_progress"],
        [
            *("run.step.created", "run.step.in_progress", "message.created", "message.in_progress"),
            *("message.completed", "run.step.completed", "run.completed"),
        ],
    ]
    assert told == await played(Stage(Counting()), ("Hello ", "there"), (STOP,), (COST,))
    assert told.index("TextDelta") == told.index("thread.message.in_progress") + 1


async def test_words_and_a_function_call_that_arrive_at_once_are_one_commit() -> None:
    store = Counting()
    stage = Stage(store)
    told = await played(stage, ("Wait.", *CALL, CALLS, COST))
    assert len(store.commits) == 2
    assert store.commits[1][-1] == "run.requires_action"
    assert told == await played(Stage(Counting()), ("Wait.",), (CALL[0],), (CALL[1],), (CALLS,), (COST,))


async def test_what_was_held_is_whole_for_who_goes_on_with_it() -> None:
    stage = Stage(MemoryStore())
    run = await begun(stage, "f")
    stage.model.turns[0].end(*CALL, CALLS, COST)
    await stage.settle()
    (call,) = (await runs.retrieve(stage.engine, PROJECT, run.thread_id, run.id)).required_action
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, (ToolOutput(call.id, "out"),))
    await stage.settle()
    stage.model.turns[1].end("Done.", STOP, COST)
    await stage.settle()
    found = await runs.retrieve(stage.engine, PROJECT, run.thread_id, run.id)
    assert (found.status, found.usage) == (RunStatus.COMPLETED, COST + COST)
    newest = (await stage.store.history(run.thread_id))[-1]
    assert (newest.content, newest.status) == ((TextPart("Done."),), MessageStatus.COMPLETED)


async def test_a_call_of_our_own_is_told_before_it_is_carried_out() -> None:
    store = Counting()
    stage = Stage(store)
    run = await begun(stage, tools=(CodeInterpreterTool(),))
    stage.model.turns[0].end(ToolCallPiece(0, "call_1", "code_interpreter", '{"code":"1"}'), CALLS, COST)
    await stage.settle()
    assert store.commits[1:] == [["run.step.created", "run.step.in_progress"], ["run.step.completed"]]
    assert stage.sandbox.ran == ["1"]
    assert stage.surprises == []
    assert (await runs.retrieve(stage.engine, PROJECT, run.thread_id, run.id)).status is RunStatus.IN_PROGRESS


async def test_what_arrives_at_once_after_a_long_silence_is_not_saved_twice() -> None:
    store = Counting()
    stage = Stage(store)
    run = await begun(stage)
    stage.clock.ticks += 5
    stage.model.turns[0].end("Hello", STOP, COST)
    await stage.settle()
    assert (len(store.commits), stage.surprises) == (2, [])
    assert (await runs.retrieve(stage.engine, PROJECT, run.thread_id, run.id)).status is RunStatus.COMPLETED


async def test_a_cancel_that_comes_first_leaves_nothing_of_the_answer() -> None:
    class Cancelling(Counting):
        async def apply(self, write_set: WriteSet) -> int:
            if any(event.name.value == "thread.run.completed" for event in write_set.events):
                await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
            return await super().apply(write_set)

    store = Cancelling()
    stage = Stage(store)
    run = await begun(stage)
    stage.model.turns[0].end("Hello", STOP, COST)
    await stage.settle()
    assert store.commits[1:] == [["run.cancelling"], ["run.cancelled"]]
    assert [message.run_id for message in await stage.store.history(run.thread_id)] == [None]
    tail = stage.ports.log.tail(run.id)
    assert all([isinstance(entry, StoredEvent) async for batch in tail for entry in batch])


async def test_a_cancel_that_comes_before_a_call_keeps_the_words_that_were_told() -> None:
    class Cancelling(Counting):
        async def apply(self, write_set: WriteSet) -> int:
            if any(event.name.value == "thread.run.requires_action" for event in write_set.events):
                await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
            return await super().apply(write_set)

    store = Cancelling()
    stage = Stage(store)
    run = await begun(stage, "f")
    stage.model.turns[0].say("Hello")
    await stage.settle()
    stage.model.turns[0].end(*CALL, CALLS, COST)
    await stage.settle()
    assert store.commits[-1] == ["message.incomplete", "run.step.cancelled", "run.cancelled"]
    assert (await stage.store.history(run.thread_id))[-1].content == (TextPart("Hello"),)


async def test_what_arrives_at_once_and_cannot_be_stored_is_left_out() -> None:
    class Choosy(Counting):
        async def apply(self, write_set: WriteSet) -> int:
            if any(event.name.value == "thread.message.created" for event in write_set.events):
                raise ValueError("no such text")
            return await super().apply(write_set)

    store = Choosy()
    stage = Stage(store)
    run = await begun(stage)
    stage.model.turns[0].end("Hello", STOP, COST)
    await stage.settle()
    assert store.commits[1:] == [["run.failed"]]
    assert [message.run_id for message in await stage.store.history(run.thread_id)] == [None]


async def test_what_arrives_at_once_while_the_text_is_being_saved_waits_for_that() -> None:
    class Slow(Counting):
        async def apply(self, write_set: WriteSet) -> int:
            if any(isinstance(write, Update) and isinstance(write.row, Message) for write in write_set.writes):
                saving.set()
                await go_on.wait()
            return await super().apply(write_set)

    saving, go_on = asyncio.Event(), asyncio.Event()
    store = Slow()
    stage = Stage(store)
    run = await begun(stage, "f")
    turn = stage.model.turns[0]
    turn.say("Hello")
    await stage.settle()
    stage.clock.ticks += 5
    turn.say(" there")
    await saving.wait()
    turn.end(*CALL, CALLS, COST)
    go_on.set()
    await stage.settle()
    assert store.commits[2] == ["message.completed", "run.step.completed", "run.step.created", "run.step.in_progress"]
    assert store.commits[3] == ["run.requires_action"]
    assert (await stage.store.history(run.thread_id))[-1].content == (TextPart("Hello there"),)
