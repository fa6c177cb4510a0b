"""What becomes of a turn of the model: text, refusals, calls, budgets, and what is saved of it when."""

from dataclasses import replace

import pytest

from tests.support.runs import STOP, begun, deltas, stored, told
from tests.support.stage import PROJECT, Stage
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.delta import ArgumentsDelta, RefusalDelta, TextDelta, ToolCallStarted
from threadmill.domain.error import (
    Conflict,
)
from threadmill.domain.ids import CallId
from threadmill.domain.message import (
    Message,
    MessageStatus,
    RefusalPart,
    TextPart,
)
from threadmill.domain.outcome import RunIncompleteReason, Usage
from threadmill.domain.page import PageQuery
from threadmill.domain.run import NewRun, RunStatus
from threadmill.engine.objects import messages, runs
from threadmill.engine.ports.model import (
    Finish,
    FinishReason,
    ReasoningPiece,
    RefusalPiece,
    ToolCallPiece,
)
from threadmill.engine.prompt.conversation import message_text
from threadmill.engine.running.draft import FunctionDraft

COST = Usage(3, 2)


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


def test_arguments_are_valid_only_as_a_json_object() -> None:
    for text, valid in (("{}", True), ("[]", False), ("{", False), ("[" * 100_000, False)):
        assert FunctionDraft(CallId("c"), "f", [text]).has_valid_arguments() is valid


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


async def test_an_answer_without_end_fails_its_run_and_keeps_what_fits() -> None:
    stage = Stage(MemoryStore(), max_answer=32)
    run = await begun(stage)
    stage.model.turns[0].say("12345", "67890")  # each counts as 16: in memory they take much more
    await stage.settle()
    stage.model.turns[0].say("x")
    await stage.settle()
    ended = await stored(stage, run)
    assert ended.status is RunStatus.FAILED
    assert ended.last_error is not None
    assert ended.last_error.message == "The model's answer has more than 32 characters."
    assert (await stage.store.history(run.thread_id))[-1].content == (TextPart("1234567890"),)


async def test_answers_without_end_fail_their_run_though_each_of_them_is_short() -> None:
    stage = Stage(MemoryStore(), max_answer=32)
    run = await begun(stage, "f")
    for number in range(5):
        assert (await stored(stage, run)).status is RunStatus.IN_PROGRESS
        stage.model.turns[number].end(ToolCallPiece(0, f"call_{number}", "f", f"{'no json':32}"), STOP, COST)
        await stage.settle()
    ended = await stored(stage, run)
    assert ended.last_error is not None
    assert ended.last_error.message == "The model's answers in this run have more than 128 characters together."


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
