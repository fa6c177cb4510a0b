"""Use cases of assistants, threads, messages, runs and steps."""

import asyncio

import pytest

from tests.support.runs import STOP, begun
from tests.support.stage import PROJECT, Stage
from threadmill.domain.error import (
    Conflict,
    InvalidRequest,
    NotFound,
)
from threadmill.domain.ids import AssistantId, MessageId, RunId, RunStepId, ThreadId
from threadmill.domain.message import (
    MessageRole,
    NewMessage,
    TextPart,
)
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.page import PageQuery
from threadmill.domain.patch import NewThread
from threadmill.domain.run import NewRun
from threadmill.domain.tool import ToolResources
from threadmill.engine.objects import assistants, messages, runs, threads
from threadmill.engine.objects.messages import MESSAGES_AT_ONCE, new_messages
from threadmill.engine.ports.model import (
    ModelError,
)

COST = Usage(3, 2)


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
