"""A run's record: what it asked, called and waited for, with times and tokens; stored with the run and nowhere else."""

from tests.support.runs import CALLS, STOP, again, begun, stored, turn
from tests.support.stage import PROJECT, Stage
from threadmill.domain.ids import CallId
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run import Run, RunStatus, Truncation
from threadmill.domain.run_record import MAX_SPANS, Milliseconds, ModelSpan, ToolSpan, with_span
from threadmill.domain.tool import CodeInterpreterTool, FileSearchTool, ToolOutput
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import ContextTooLong, FailedAttempts, ModelError, ToolCallPiece
from threadmill.engine.running.run_recorder import INTERRUPTED

NOW = Milliseconds(1_000_000)


def later(seconds: float) -> Milliseconds:
    return Milliseconds(NOW + int(seconds * 1000))


async def record(stage: Stage, run: Run) -> tuple[ModelSpan | ToolSpan, ...]:
    return (await stored(stage, run)).record


async def test_a_question_to_a_model_is_noted_with_its_times_tokens_and_failed_attempts(stage: Stage) -> None:
    run = await begun(stage)
    stage.clock.ticks += 1.25
    turn(stage).say(FailedAttempts(("It was busy.",)), "Hi")
    await stage.settle()
    stage.clock.ticks += 0.5
    turn(stage).end(" there", STOP, Usage(7, 2, 3, 1))
    await stage.settle()
    assert await record(stage, run) == (
        ModelSpan(
            NOW, later(1.75), "m", later(1.25), 1, 0, "stop", Usage(7, 2, 3, 1), failed_attempts=("It was busy.",)
        ),
    )


async def test_a_run_that_waited_for_its_client_has_both_answers(stage: Stage) -> None:
    run = await begun(stage, "f")
    turn(stage).end(ToolCallPiece(0, "call_1", "f", "{}"), CALLS)
    await stage.settle()
    assert [span.type for span in await record(stage, run)] == ["model"]
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, (ToolOutput(CallId("call_1"), "x"),))
    await stage.settle()
    turn(stage).end("done", STOP)
    await stage.settle()
    found = await record(stage, run)
    assert [span.finish for span in found if isinstance(span, ModelSpan)] == ["tool_calls", "stop"]


async def test_messages_that_had_no_room_are_counted_and_the_refused_question_is_noted_too(stage: Stage) -> None:
    stage.model.window = 100_000
    run = await begun(stage, said="word " * 400)
    turn(stage).end("a first answer", STOP)
    await stage.settle()
    run = await again(stage, run.thread_id, assistant_id=run.assistant_id)
    turn(stage).fail(ContextTooLong("too long"))
    await stage.settle()
    turn(stage).end("short", STOP)
    await stage.settle()
    refused, answered = await record(stage, run)
    assert isinstance(refused, ModelSpan)
    assert isinstance(answered, ModelSpan)
    assert (refused.finish, refused.error, refused.left_out) == (None, "too long", 0)
    assert (answered.finish, answered.error) == ("stop", None)
    assert answered.left_out == refused.messages - answered.messages > 0


async def test_an_answer_that_failed_says_why_also_if_it_was_to_be_stored_at_once(stage: Stage) -> None:
    run = await begun(stage)
    turn(stage).say("Half", Usage(1, 1))
    await stage.settle()
    turn(stage).fail(ModelError(ErrorCode.SERVER_ERROR, "It broke."))
    await stage.settle()
    held = await stored(stage, run)
    assert held.status is RunStatus.FAILED
    assert [(span.finish, span.error) for span in held.record if isinstance(span, ModelSpan)] == [(None, "It broke.")]


async def test_a_cancelled_run_keeps_what_it_did(stage: Stage) -> None:
    run = await begun(stage)
    turn(stage).say("Half")
    await stage.settle()
    stage.clock.ticks += 2
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    await stage.settle()
    (span,) = await record(stage, run)
    assert isinstance(span, ModelSpan)
    assert (span.finish, span.error, span.ended_at) == (None, INTERRUPTED, later(2))


async def test_calls_of_our_own_tools_are_noted_with_why_they_gave_nothing(stage: Stage) -> None:
    run = await begun(stage, tools=(CodeInterpreterTool(), FileSearchTool()))
    calls = [
        ToolCallPiece(0, "call_1", "code_interpreter", '{"code": "1"}'),
        ToolCallPiece(1, "call_2", "code_interpreter", '{"code": 1}'),
        ToolCallPiece(2, "call_3", "file_search", "{}"),
    ]
    turn(stage).end(*calls, CALLS)
    await stage.settle()
    tools = [span for span in await record(stage, run) if isinstance(span, ToolSpan)]
    assert [(span.call_id, span.tool, bool(span.error)) for span in tools] == [
        ("call_1", "code_interpreter", False),
        ("call_2", "code_interpreter", True),
        ("call_3", "file_search", True),
    ]


async def test_a_call_that_a_cancel_cuts_is_noted(stage: Stage) -> None:
    stage.sandbox.endless = True
    run = await begun(stage, tools=(CodeInterpreterTool(),))
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", '{"code": "1"}'), CALLS)
    await stage.sandbox.hanging.wait()
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    await stage.settle()
    assert [span.error for span in await record(stage, run) if isinstance(span, ToolSpan)] == [INTERRUPTED]


def test_a_record_has_a_bound_and_keeps_its_beginning() -> None:
    spans: tuple[ModelSpan | ToolSpan, ...] = ()
    for number in range(MAX_SPANS + 2):
        spans = with_span(spans, ToolSpan(Milliseconds(number), Milliseconds(number), "call", "file_search"))
    assert len(spans) == MAX_SPANS
    assert spans[0].began_at == 0


async def test_truncation_by_the_caller_is_no_loss(stage: Stage) -> None:
    run = await begun(stage)
    turn(stage).end("one", STOP)
    await stage.settle()
    run = await again(stage, run.thread_id, assistant_id=run.assistant_id, truncation=Truncation(1))
    turn(stage).end("two", STOP)
    await stage.settle()
    (span,) = await record(stage, run)
    assert isinstance(span, ModelSpan)
    assert (span.messages, span.left_out) == (1, 0)


async def test_an_answer_that_comes_at_once_is_noted_though_it_calls_our_own_tool(stage: Stage) -> None:
    run = await begun(stage, tools=(CodeInterpreterTool(),))
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", '{"code": "1"}'), CALLS, Usage(3, 2))
    await stage.settle()
    turn(stage).end("done", STOP, Usage(1, 1))
    await stage.settle()
    assert [span.type for span in await record(stage, run)] == ["model", "tool", "model"]
    steps = await runs.all_steps(stage.engine, run)
    assert [step.type.value for step in steps] == ["tool_calls", "message_creation"]
