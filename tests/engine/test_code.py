"""code_interpreter in the engine: what the model, the client and the files see of code that runs."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import CALLS, STOP, again, deltas, heard, turn
from tests.support.stage import PROJECT, Stage
from threadmill.adapters.blobs.disk import DiskBlobs, DiskWriter
from threadmill.domain.delta import (
    AnnotationDelta,
    CodeInputDelta,
    CodeOutputDelta,
    ImageDelta,
    TextDelta,
    ToolCallStarted,
)
from threadmill.domain.error import Unavailable
from threadmill.domain.file import File, FilePurpose
from threadmill.domain.ids import CallId, FileId, RunStepId
from threadmill.domain.message import Annotation, ImageFilePart, Message, RefusalPart, TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.tool import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    CodeOutput,
    FileSearchCall,
    FunctionTool,
    NamedToolChoice,
    RankingOptions,
    Tool,
    ToolChoice,
    ToolOutput,
    ToolResources,
)
from threadmill.engine.objects import files, runs, threads
from threadmill.engine.ports.model import ModelError, RefusalPiece, ToolCallPiece
from threadmill.engine.ports.sandbox import Ended, EndReason, FileWritten, Image, Logs, Output, SessionLossReason
from threadmill.engine.prompt.conversation import MODEL_LOGS, build_conversation, message_text, render_code_result
from threadmill.engine.running.code_call import NEW_SESSION, NOT_UNDERSTOOD, SESSION_LOST
from threadmill.engine.running.worker import CLIENT_SECONDS

COST = Usage(1, 1)
CODE = CodeInterpreterTool()
DONE = Ended(EndReason.COMPLETED)


async def begun(stage: Stage, *, tools: tuple[Tool, ...] = (CODE,), **fields: Any) -> Run:
    """A run that waits for the model's first word."""
    assistant, thread = await stage.assistant(), await stage.thread("hi")
    return await again(stage, thread.id, assistant_id=assistant.id, tools=tools, **fields)


async def called(stage: Stage, code: str = "x", *acts: Output) -> None:
    """The model calls for code, which gives `acts`, and is asked again."""
    stage.sandbox.acts.append((*acts, DONE) if not acts or not isinstance(acts[-1], Ended) else acts)
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", json.dumps({"code": code})), CALLS, COST)
    await stage.settle()


async def answered(stage: Stage, *texts: str) -> None:
    turn(stage).end(*texts, STOP, COST)
    await stage.settle()


async def step_of(stage: Stage, run: Run) -> RunStep:
    return next(step for step in await stage.store.steps(run.id) if step.type is RunStepType.TOOL_CALLS)


async def call_of(stage: Stage, run: Run) -> CodeInterpreterCall:
    call = (await step_of(stage, run)).tool_calls[0]
    assert isinstance(call, CodeInterpreterCall)
    return call


async def message_of(stage: Stage, run: Run) -> Message:
    return (await stage.store.history(run.thread_id))[-1]


async def file(stage: Stage, file_id: FileId) -> File:
    found = await stage.store.get(File, PROJECT, file_id)
    assert found is not None
    return found


async def test_code_streams_while_it_is_written_runs_and_its_output_streams_and_is_told(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.acts.append((Logs("1\n"), Logs("2\n"), DONE))
    turn(stage).say(ToolCallPiece(0, "call_1", "code_interpreter", '{"code": "print('))
    turn(stage).say(ToolCallPiece(0, arguments='1)"'))
    turn(stage).end(ToolCallPiece(0, arguments="}"), CALLS, COST)
    await stage.settle()
    assert stage.sandbox.ran == ["print(1)"]
    assert heard(stage) == "1\n2"
    await answered(stage, "done")
    outputs = (CodeOutput(logs="1\n2\n"),)
    step = await step_of(stage, run)
    assert step.status is RunStepStatus.COMPLETED
    assert step.tool_calls == (CodeInterpreterCall(CallId("call_1"), "print(1)", outputs),)
    opened, first, second, *printed = (await deltas(stage, run))[:5]
    assert isinstance(opened, ToolCallStarted)
    assert opened.call == CodeInterpreterCall(CallId("call_1"), "")
    assert [(one.index, one.pieces) for one in (first, second) if isinstance(one, CodeInputDelta)] == [
        (0, ("print(",)),
        (0, ("1)",)),
    ]
    assert [(one.number, one.output.logs) for one in printed if isinstance(one, CodeOutputDelta)] == [
        (0, "1\n"),
        (0, "2\n"),
    ]


async def test_the_tool_is_offered_as_a_function_and_can_be_forced_for_the_first_turn(stage: Stage) -> None:
    choice = ToolChoice(None, NamedToolChoice("code_interpreter"))
    await begun(stage, tool_choice=choice)
    request = turn(stage).request
    assert [tool.name for tool in request.tools] == ["code_interpreter"]
    assert json.loads(request.tools[0].parameters)["required"] == ["code"]
    assert request.tool_choice.named == NamedToolChoice("function", "code_interpreter")
    await called(stage)
    assert turn(stage).request.tool_choice == ToolChoice()


async def test_a_callers_function_of_the_same_name_stays_the_callers(stage: Stage) -> None:
    tools = (CODE, FunctionTool("code_interpreter"))
    run = await begun(stage, tools=tools)
    assert [tool.name for tool in turn(stage).request.tools] == ["code_interpreter_tool", "code_interpreter"]
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", "{}"), CALLS, COST)
    await stage.settle()
    found = await stage.store.get(Run, PROJECT, run.id)
    assert found is not None
    assert found.status is RunStatus.REQUIRES_ACTION
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)


async def test_code_and_a_function_in_one_turn_are_one_step_that_waits_for_the_function(stage: Stage) -> None:
    run = await begun(stage, tools=(CODE, FunctionTool("f")))
    stage.sandbox.acts.append((Logs("2"), DONE))
    turn(stage).end(
        ToolCallPiece(0, "call_1", "f", "{}"),
        ToolCallPiece(1, "call_2", "code_interpreter", '{"code": "1+1"}'),
        CALLS,
        COST,
    )
    await stage.settle()
    assert stage.sandbox.ran == ["1+1"]
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, (ToolOutput(CallId("call_1"), "out"),))
    await stage.settle()
    said = turn(stage).request.messages[-2:]
    assert [message_text(message) for message in said] == ["out", "2"]
    await answered(stage, "done")
    step = await step_of(stage, run)
    assert [call.type for call in step.tool_calls] == ["function", "code_interpreter"]


async def test_pictures_become_files_outputs_and_the_first_parts_of_the_next_message(stage: Stage) -> None:
    run = await begun(stage)
    await called(stage, "plot", Logs("a\n"), Image("plot.png", b"png"), Logs("b\n"), Image("out.png", b"p2", "out.png"))
    call = await call_of(stage, run)
    logs_a, shown, logs_b, saved = call.outputs
    assert (logs_a.logs, logs_b.logs) == ("a\n", "b\n")
    assert shown.image is not None
    assert saved.image is not None
    picture = await file(stage, shown.image)
    assert (picture.filename, picture.purpose, picture.origin) == ("plot.png", FilePurpose.ASSISTANTS_OUTPUT, None)
    assert "It is saved as /mnt/data/out.png." in heard(stage)
    await answered(stage, "See ", "[it](sandbox:/mnt/data/out.png).")
    message = await message_of(stage, run)
    text = "See [it](sandbox:/mnt/data/out.png)."
    link = Annotation("file_path", "sandbox:/mnt/data/out.png", 9, 34, saved.image)
    assert message.content == (ImageFilePart(shown.image), ImageFilePart(saved.image), TextPart(text, (link,)))
    said = [one for one in await deltas(stage, run) if isinstance(one, ImageDelta | TextDelta | AnnotationDelta)]
    assert [(type(one).__name__, one.index) for one in said] == [
        ("ImageDelta", 0),
        ("ImageDelta", 1),
        ("TextDelta", 2),
        ("TextDelta", 2),
        ("AnnotationDelta", 2),
        ("TextDelta", 2),
    ]


async def test_pictures_of_an_earlier_message_do_not_come_again(stage: Stage) -> None:
    run = await begun(stage)
    await called(stage, "plot", Image("plot.png", b"png"))
    turn(stage).say("Look: ")
    await called(stage, "more")
    await answered(stage, "done")
    first, second = (await stage.store.history(run.thread_id))[1:]
    assert [part.type for part in first.content] == ["image_file", "text"]
    assert [part.type for part in second.content] == ["text"]


async def test_a_refusal_behind_a_picture_has_the_next_index(stage: Stage) -> None:
    run = await begun(stage)
    await called(stage, "plot", Image("plot.png", b"png"))
    turn(stage).end(RefusalPiece("No."), STOP, COST)
    await stage.settle()
    message = await message_of(stage, run)
    assert message.content[1] == RefusalPart("No.")


async def test_files_that_code_writes_are_kept_named_to_the_model_and_linked_in_every_later_run(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.files[run.thread_id]["out/a.csv"] = b"1,2"
    await called(stage, "save", FileWritten("out/a.csv", 3))
    assert "[a.csv](sandbox:/mnt/data/out/a.csv)" in heard(stage)
    await answered(stage, "done")
    made = await stage.store.created_in_thread(PROJECT, run.thread_id)
    assert [(one.filename, one.origin.path if one.origin else "") for one in made] == [("a.csv", "out/a.csv")]
    later = await again(stage, run.thread_id, assistant_id=run.assistant_id, tools=(CODE,))
    await answered(stage, "sandbox:/mnt/da", "ta/out/a.csv")
    (part,) = (await message_of(stage, later)).content
    assert isinstance(part, TextPart)
    assert [one.file_id for one in part.annotations] == [made[0].id]


async def test_a_file_that_cannot_be_kept_is_told_and_does_not_fail_the_run(stage: Stage) -> None:
    run = await begun(stage)
    await called(stage, "save", FileWritten("gone.csv", 3), FileWritten("huge.bin", 600 << 20))
    assert "gone.csv could not be kept. There is no file gone.csv." in heard(stage)
    assert "huge.bin is too large" in heard(stage)
    await answered(stage, "done")
    assert await stage.store.created_in_thread(PROJECT, run.thread_id) == []


class FullBlobs(DiskBlobs):
    """A disk without room."""

    @asynccontextmanager
    async def writer(self) -> AsyncGenerator[DiskWriter, None]:
        raise Unavailable("The disk is full.")
        yield


async def test_a_picture_that_cannot_be_kept_is_told(stage: Stage, tmp_path: Path) -> None:
    stage.blobs = FullBlobs(tmp_path, stage.troubles)
    stage.hire()
    await begun(stage)
    await called(stage, "plot", Image("plot.png", b"png"))
    assert "plot.png could not be kept. The disk is full." in heard(stage)


async def test_the_sessions_files_are_there_by_id_and_by_name_and_the_model_knows(stage: Stage) -> None:
    sales, other = await stage.file("sales.csv", b"1"), await stage.file("a/b.csv", b"2")
    assistant = await stage.assistant(tool_resources=ToolResources((sales, other)))
    thread = await stage.thread("hi")
    await again(stage, thread.id, assistant_id=assistant.id, tools=(CODE,))
    system = message_text(turn(stage).request.messages[0])
    assert system == f"Files for your code: /mnt/data/{sales} ('sales.csv'), /mnt/data/{other} ('a/b.csv')."
    await called(stage)
    assert stage.sandbox.files[thread.id] == {sales: b"1", other: b"2"}
    assert stage.sandbox.links == {"sales.csv": sales}
    stage.sandbox.files[thread.id].clear()
    await called(stage)
    assert stage.sandbox.files[thread.id] == {}, "what the session holds is not put again"


async def given_files(stage: Stage, *names: str) -> tuple[Run, tuple[FileId, ...]]:
    """A run whose assistant was given files of these names, in this order."""
    files = tuple([await stage.file(name, name.encode()) for name in names])
    assistant = await stage.assistant(tool_resources=ToolResources(files))
    thread = await stage.thread("hi")
    return await again(stage, thread.id, assistant_id=assistant.id, tools=(CODE,)), files


async def test_of_two_files_of_one_name_the_newer_has_it_and_the_older_gets_it_back(stage: Stage) -> None:
    run, (older, newer) = await given_files(stage, "a.csv", "a.csv")
    await called(stage)
    assert stage.sandbox.links == {"a.csv": newer}
    await files.delete(stage.engine, PROJECT, newer)
    await called(stage)
    assert stage.sandbox.links == {"a.csv": older}
    assert set(stage.sandbox.files[run.thread_id]) == {older}


async def test_a_deleted_file_is_taken_out_of_the_session(stage: Stage) -> None:
    run, (kept, gone) = await given_files(stage, "kept.csv", "gone.csv")
    await called(stage)
    await files.delete(stage.engine, PROJECT, gone)
    await called(stage)
    assert set(stage.sandbox.files[run.thread_id]) == {kept}
    assert stage.sandbox.links == {"kept.csv": kept}


async def test_a_file_another_assistant_was_given_stays_in_the_session(stage: Stage) -> None:
    run, (theirs,) = await given_files(stage, "theirs.csv")
    await called(stage)
    await answered(stage, "done")
    await again(stage, run.thread_id, assistant_id=(await stage.assistant()).id, tools=(CODE,))
    await called(stage)
    assert set(stage.sandbox.files[run.thread_id]) == {theirs}


async def test_a_given_file_that_code_writes_over_is_kept_and_linked_under_its_own_name(stage: Stage) -> None:
    run, (given,) = await given_files(stage, "sales.csv")
    await called(stage, "save", FileWritten(given, 9))
    assert heard(stage).endswith("[sales.csv](sandbox:/mnt/data/sales.csv)")
    assert message_text(turn(stage).request.messages[0]) == f"Files for your code: /mnt/data/{given} ('sales.csv')."
    (made,) = await stage.store.created_in_thread(PROJECT, run.thread_id)
    assert made.filename == "sales.csv"
    await answered(stage, "sandbox:/mnt/data/sales.csv")
    (part,) = (await message_of(stage, run)).content
    assert isinstance(part, TextPart)
    assert [one.file_id for one in part.annotations] == [made.id]


async def test_a_new_session_has_all_files_again_and_the_model_is_told_that_variables_are_lost(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.files[run.thread_id]["a.csv"] = b"1,2"
    await called(stage, "save", FileWritten("a.csv", 3))
    assert NEW_SESSION not in heard(stage)
    stage.sandbox.lose(run.thread_id, SessionLossReason.IDLE)
    await called(stage)
    assert NEW_SESSION in heard(stage)
    assert stage.sandbox.files[run.thread_id] == {"a.csv": b"1,2"}
    stage.sandbox.lose(run.thread_id, None)
    await called(stage)
    assert NEW_SESSION in heard(stage), "the run's own steps tell that there was a session"
    stage.sandbox.lose(run.thread_id, None)
    await answered(stage, "done")
    await again(stage, run.thread_id, assistant_id=run.assistant_id, tools=(CODE,))
    await called(stage)
    assert NEW_SESSION in heard(stage), "the thread's earlier run tells it"


async def test_variables_lost_after_a_cancel_are_told_though_the_session_is_the_same(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.files[run.thread_id]["a.csv"] = b"1,2"
    await called(stage)
    stage.sandbox.lose_variables(run.thread_id)
    await called(stage)
    assert heard(stage) == NEW_SESSION
    await called(stage)
    assert heard(stage) == "(no output)"


async def test_a_file_that_cannot_be_put_is_told(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.files[run.thread_id]["refused.csv"] = b"1,2"
    await called(stage, "save", FileWritten("refused.csv", 3))
    stage.sandbox.lose(run.thread_id, SessionLossReason.AGE)
    await called(stage)
    assert "refused.csv is not in /mnt/data. The disk is full." in heard(stage)


@pytest.mark.parametrize(
    ("end", "logs", "note"),
    [
        (Ended(EndReason.TIMED_OUT, "Stopped after 120 s."), "Stopped after 120 s.\n", ""),
        (Ended(EndReason.KILLED, "Killed.", state_kept=False), "Killed.\n", SESSION_LOST),
        (Ended(EndReason.EXCEPTION, "ValueError: no"), None, ""),
    ],
)
async def test_every_ending_is_an_answer(stage: Stage, end: Ended, logs: str | None, note: str) -> None:
    run = await begun(stage)
    await called(stage, "x", end)
    call = await call_of(stage, run)
    assert [output.logs for output in call.outputs] == ([] if logs is None else [logs])
    assert call.note == note
    assert heard(stage) == "\n".join(filter(None, ((logs or "").strip(), note))) or "(no output)"
    await answered(stage, "done")


async def test_arguments_without_code_are_answered_and_nothing_runs(stage: Stage) -> None:
    run = await begun(stage)
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", "{}"), CALLS, COST)
    await stage.settle()
    assert stage.sandbox.ran == []
    assert heard(stage) == NOT_UNDERSTOOD
    assert (await call_of(stage, run)).outputs == (CodeOutput(logs=NOT_UNDERSTOOD),)


async def test_a_sandbox_that_refuses_in_the_middle_is_an_answer_and_one_that_refuses_at_all_fails_the_run(
    stage: Stage,
) -> None:
    first = await begun(stage)
    stage.sandbox.unavailable_reason = "No memory."
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", "1+1"), CALLS, COST)
    await stage.settle()
    call = await call_of(stage, first)
    assert call.outputs == (CodeOutput(logs="Error: the code could not be run. No memory."),)
    found = await stage.store.get(Run, PROJECT, first.id)
    assert found is not None
    assert found.last_error is not None
    assert found.last_error.message == "No memory."


async def test_a_cancel_stops_the_code_and_keeps_what_it_printed(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.acts.append((Logs("1\n"),))
    stage.sandbox.endless = True
    turn(stage).end(ToolCallPiece(0, "call_1", "code_interpreter", '{"code": "loop"}'), CALLS, COST)
    await stage.sandbox.hanging.wait()
    await runs.cancel(stage.engine, PROJECT, run.thread_id, run.id)
    await stage.settle()
    step = await step_of(stage, run)
    assert stage.sandbox.interrupted
    assert step.status is RunStepStatus.CANCELLED
    assert (await call_of(stage, run)).outputs == (CodeOutput(logs="1\n"),)


async def test_text_held_back_for_a_link_is_not_lost_when_the_model_is_cut_off(stage: Stage) -> None:
    run = await begun(stage)
    stage.sandbox.files[run.thread_id]["a.csv"] = b"1,2"
    await called(stage, "save", FileWritten("a.csv", 3))
    turn(stage).say("See sandbox:/mnt/da")
    await stage.settle()
    turn(stage).fail(ModelError(ErrorCode.SERVER_ERROR, "cut"))
    await stage.settle()
    (part,) = (await message_of(stage, run)).content
    assert part == TextPart("See sandbox:/mnt/da")


async def test_a_thread_that_is_deleted_ends_its_session(stage: Stage) -> None:
    run = await begun(stage)
    await called(stage)
    await threads.delete(stage.engine, PROJECT, run.thread_id)
    assert (await stage.sandbox.start(run.thread_id)).is_new


async def test_a_run_keeps_its_session_until_it_ends_and_a_while_for_its_client(stage: Stage) -> None:
    run = await begun(stage, tools=(CODE, FunctionTool("f")))
    await called(stage)
    assert (stage.sandbox.kept, stage.sandbox.released) == ({run.thread_id: run.id}, [])
    turn(stage).end(ToolCallPiece(0, "call_2", "f", "{}"), CALLS, COST)
    await stage.settle()
    assert stage.sandbox.released == [(run.id, CLIENT_SECONDS)]
    await runs.submit_tool_outputs(stage.engine, PROJECT, run.thread_id, run.id, (ToolOutput(CallId("call_2"), "1"),))
    await stage.settle()
    await answered(stage, "done")
    assert stage.sandbox.released == [(run.id, CLIENT_SECONDS), (run.id, 0)]


def test_the_model_sees_the_beginning_and_the_end_of_long_logs() -> None:
    logs = "a" * MODEL_LOGS + "b" * MODEL_LOGS
    shown = render_code_result(
        CodeInterpreterCall(CallId("c"), "x", (CodeOutput(logs=logs), CodeOutput(image=FileId("f"))))
    )
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert f"[… {MODEL_LOGS:,} characters left out …]" in shown
    assert len(shown) < MODEL_LOGS + 100


async def test_a_search_of_an_earlier_version_stays_in_the_prompt_as_a_call(stage: Stage) -> None:
    run = await begun(stage)
    await called(stage)
    step = await step_of(stage, run)
    search = FileSearchCall(CallId("call_9"), RankingOptions())
    conversation = build_conversation(run, (), [replace(step, id=RunStepId("s"), tool_calls=(search,))], {})
    assert [call.name for call in conversation.tail[0].tool_calls] == ["file_search"]


async def test_calls_are_counted_where_the_upstream_counts_nothing(stage: Stage) -> None:
    run = await begun(stage, tools=(CODE, FunctionTool("f")))
    pieces = ToolCallPiece(0, "call_1", "code_interpreter", '{"code": "a b c"}'), ToolCallPiece(1, "call_2", "f", "{ }")
    turn(stage).end(*pieces, CALLS)
    await stage.settle()
    step = await step_of(stage, run)
    assert step.usage is not None
    assert step.usage.completion_tokens == len(["a", "b", "cf{", "}"])
