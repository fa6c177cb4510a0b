"""The tables and decide(): every pair of status and command, and the orders and times clients see."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadmill.domain import command as c
from threadmill.domain.decide import Decision, RunState, decide
from threadmill.domain.error import Conflict, OutputsNotAccepted, RunNotCancellable, WrongToolOutputs
from threadmill.domain.event import Event, EventName
from threadmill.domain.fold import fold
from threadmill.domain.ids import AssistantId, CallId, MessageId, ProjectId, RunId, RunStepId, ThreadId
from threadmill.domain.message import IncompleteReason, MessageStatus, TextPart
from threadmill.domain.outcome import ErrorCode, LastError, RunIncompleteReason, Usage
from threadmill.domain.run import ACTIVE, RUN_TRANSITIONS, TERMINAL, Run, RunStatus
from threadmill.domain.run_step import RunStepStatus, RunStepType
from threadmill.domain.thread import Thread
from threadmill.domain.tool import CodeInterpreterCall, FunctionCall, ToolOutput

CALL = FunctionCall(CallId("call_1"), "f", "{}")
ERROR = LastError(ErrorCode.INVALID_PROMPT, "bad")
COMMANDS: tuple[c.RunCommand, ...] = (
    c.Start(),
    c.RequireAction((CALL,), Usage(3, 2)),
    c.SubmitToolOutputs((ToolOutput(CallId("call_1"), "out"),)),
    c.Complete(),
    c.StopIncomplete(RunIncompleteReason.MAX_PROMPT_TOKENS),
    c.Fail(ERROR),
    c.Cancel(),
    c.FinishCancel(),
    c.Expire(),
    c.Rescue(),
)


def run(status: RunStatus = RunStatus.QUEUED) -> Run:
    made = Run(RunId("run_1"), ProjectId("p"), ThreadId("thread_1"), AssistantId("asst_1"), 100, "m", status=status)
    return replace(made, expires_at=700)


def after(progress: RunState, *commands: c.Command, at: int = 200) -> Decision:
    decision = Decision(progress, (), ())
    for command in commands:
        decision = decide(decision.state, command, at)
    return decision


def started() -> RunState:
    return after(RunState(run()), c.Start()).state


def speaking() -> RunState:
    return after(started(), c.OpenMessage(RunStepId("step_1"), MessageId("msg_1"))).state


def calling() -> RunState:
    return after(started(), c.OpenToolCalls(RunStepId("step_2"))).state


def waiting() -> RunState:
    return after(calling(), c.RequireAction((CALL,), Usage(3, 2))).state


def names(decision: Decision) -> list[str]:
    return [event.name.value for event in decision.events]


def prepared(status: RunStatus) -> RunState:
    match status:
        case RunStatus.IN_PROGRESS:
            return calling()
        case RunStatus.REQUIRES_ACTION:
            return waiting()
        case _:
            return RunState(run(status))


def test_the_commands_of_this_test_are_all_there_are() -> None:
    assert {type(command) for command in COMMANDS} == set(get_args(c.RunCommand))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("status", RunStatus)
def test_a_command_leads_where_the_table_says_or_is_refused(status: RunStatus, command: c.RunCommand) -> None:
    target = RUN_TRANSITIONS[status].get(type(command))
    if target is None:
        with pytest.raises(Conflict):
            decide(prepared(status), command, 200)
        return
    decision = decide(prepared(status), command, 200)
    assert decision.state.run.status is target
    told = decision.events[-1].subject
    assert told == decision.state.run
    assert decision.events[-1].name == f"thread.run.{target}"


def test_active_and_terminal_part_the_nine_statuses() -> None:
    assert set(RunStatus) == ACTIVE | TERMINAL
    assert not ACTIVE & TERMINAL
    assert RunStatus.CANCELLING in ACTIVE


def test_a_message_opens_and_closes_in_the_services_order() -> None:
    opened = after(started(), c.OpenMessage(RunStepId("step_1"), MessageId("msg_1")))
    assert names(opened) == [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
    ]
    assert opened.events[0].subject == opened.events[1].subject
    closed = after(opened.state, c.CloseMessage((TextPart("hi"),), Usage(3, 2)))
    assert names(closed) == ["thread.message.completed", "thread.run.step.completed"]
    assert closed.state.run.usage == Usage(3, 2)
    assert closed.state.step is closed.state.message is None


def test_a_cut_message_is_incomplete_and_its_step_completed() -> None:
    cut = after(speaking(), c.CloseMessage((TextPart("hi"),), Usage(), IncompleteReason.MAX_TOKENS))
    assert names(cut) == ["thread.message.incomplete", "thread.run.step.completed"]


@pytest.mark.parametrize(
    ("command", "reason", "step_status"),
    [
        (c.Fail(ERROR), IncompleteReason.RUN_FAILED, RunStepStatus.FAILED),
        (c.Expire(), IncompleteReason.RUN_EXPIRED, RunStepStatus.EXPIRED),
        (c.Rescue(), IncompleteReason.RUN_FAILED, RunStepStatus.FAILED),
        (c.Complete(), IncompleteReason.RUN_FAILED, RunStepStatus.FAILED),
    ],
)
def test_leaving_in_progress_closes_the_message_then_the_step(
    command: c.RunCommand, reason: IncompleteReason, step_status: RunStepStatus
) -> None:
    ended = after(speaking(), command, at=250)
    assert [name.rsplit(".", 1)[0] for name in names(ended)] == ["thread.message", "thread.run.step", "thread.run"]
    folded = fold(ended.events)
    message, step = folded.messages[MessageId("msg_1")], folded.steps[RunStepId("step_1")]
    assert (message.status, message.incomplete_reason, message.incomplete_at) == (
        MessageStatus.INCOMPLETE,
        reason,
        250,
    )
    assert step.status is step_status


def test_a_step_never_shows_an_error_code_it_does_not_know() -> None:
    step = fold(after(speaking(), c.Fail(ERROR)).events).steps[RunStepId("step_1")]
    assert step.last_error == LastError(ErrorCode.SERVER_ERROR, "bad")


def test_cancel_is_two_steps_and_closes_what_is_open() -> None:
    cancelling = after(speaking(), c.Cancel())
    assert names(cancelling) == ["thread.run.cancelling"]
    assert cancelling.state.run.cancelled_at is None
    ended = after(cancelling.state, c.FinishCancel(), at=260)
    assert names(ended) == ["thread.message.incomplete", "thread.run.step.cancelled", "thread.run.cancelled"]
    assert ended.state.run.cancelled_at == 260


def test_the_times_are_the_services() -> None:
    queued = after(waiting(), c.SubmitToolOutputs((ToolOutput(CallId("call_1"), "out"),)), at=300).state.run
    assert (queued.started_at, queued.expires_at, queued.required_action) == (200, 700, ())
    again = after(RunState(queued), c.Start(), at=310).state.run
    assert again.started_at == 310
    done = after(RunState(again), c.Complete(), at=320).state.run
    assert (done.completed_at, done.expires_at) == (320, None)
    stopped = after(started(), c.StopIncomplete(RunIncompleteReason.MAX_COMPLETION_TOKENS), at=330).state.run
    assert (stopped.completed_at, stopped.failed_at) == (330, None)
    assert after(started(), c.Fail(ERROR), at=340).state.run.failed_at == 340
    assert after(started(), c.Expire(), at=700).state.run.expires_at == 700


def test_refusals_carry_the_services_texts() -> None:
    with pytest.raises(RunNotCancellable, match=r"^Cannot cancel run with status 'completed'\.$"):
        decide(RunState(run(RunStatus.COMPLETED)), c.Cancel(), 200)
    with pytest.raises(OutputsNotAccepted, match=r'^Runs in status "expired" do not accept tool outputs\.$'):
        decide(RunState(run(RunStatus.EXPIRED)), c.SubmitToolOutputs(()), 200)


@pytest.mark.parametrize("ids", [[], ["call_2"], ["call_1", "call_1"], ["call_1", "call_2"]])
def test_outputs_must_be_exactly_the_awaited_ones(ids: list[str]) -> None:
    outputs = tuple(ToolOutput(CallId(one), "x") for one in ids)
    with pytest.raises(WrongToolOutputs) as refused:
        decide(waiting(), c.SubmitToolOutputs(outputs), 200)
    assert refused.value.message == f"Expected tool outputs for call_ids ['call_1'], got {ids}"


def test_an_answered_step_completes_before_the_run_is_queued() -> None:
    decision = after(waiting(), c.SubmitToolOutputs((ToolOutput(CallId("call_1"), "out"),)))
    assert names(decision) == ["thread.run.step.completed", "thread.run.queued"]
    step = fold(decision.events).steps[RunStepId("step_2")]
    assert step.tool_calls == (replace(CALL, output="out"),)
    assert step.usage == Usage(3, 2)


def test_only_unanswered_functions_are_required_of_the_client() -> None:
    answered = FunctionCall(CallId("call_2"), "g", "{}", "Error")
    code = CodeInterpreterCall(CallId("call_3"), "1+1")
    decision = after(calling(), c.RequireAction((CALL, answered, code), Usage()))
    assert decision.state.run.required_action == (CALL,)
    output = (ToolOutput(CallId("call_1"), "out"),)
    step = fold(after(decision.state, c.SubmitToolOutputs(output)).events).steps[RunStepId("step_2")]
    assert [getattr(call, "output", "") for call in step.tool_calls] == ["out", "Error", ""]


def test_calls_answered_by_the_server_close_their_step() -> None:
    decision = after(calling(), c.CloseToolCalls((CALL,), Usage(1, 1)))
    assert names(decision) == ["thread.run.step.completed"]
    failed = after(calling(), c.CloseToolCalls((CALL,), Usage(1, 1), LastError(ErrorCode.SERVER_ERROR, "x")))
    assert names(failed) == ["thread.run.step.failed"]


@pytest.mark.parametrize(
    ("progress", "command"),
    [
        (RunState(run()), c.OpenToolCalls(RunStepId("s"))),
        (RunState(run(RunStatus.IN_PROGRESS)), c.CloseMessage((), Usage())),
        (RunState(run(RunStatus.IN_PROGRESS)), c.CloseToolCalls((), Usage())),
        (RunState(run(RunStatus.IN_PROGRESS)), c.RequireAction((), Usage())),
    ],
)
def test_parts_open_and_close_only_in_their_place(progress: RunState, command: c.Command) -> None:
    with pytest.raises(Conflict):
        decide(progress, command, 200)


def test_a_second_part_cannot_open_beside_the_first() -> None:
    with pytest.raises(Conflict):
        decide(speaking(), c.OpenToolCalls(RunStepId("s")), 200)


def test_parts_that_were_closed_behind_the_back_are_noticed() -> None:
    progress = speaking()
    assert progress.step is not None
    assert progress.message is not None
    torn = replace(progress, message=None)
    with pytest.raises(Conflict):
        decide(torn, c.CloseMessage((), Usage()), 200)
    closed_message = replace(progress, message=replace(progress.message, status=MessageStatus.COMPLETED))
    with pytest.raises(Conflict):
        decide(closed_message, c.CloseMessage((), Usage()), 200)
    closed_step = replace(
        calling(), step=replace(progress.step, status=RunStepStatus.COMPLETED, type=RunStepType.TOOL_CALLS)
    )
    with pytest.raises(Conflict):
        decide(closed_step, c.CloseToolCalls((), Usage()), 200)


@given(st.lists(st.integers(0, len(COMMANDS) + 3), max_size=30))
def test_folding_the_events_gives_the_state_and_usage_is_the_sum_of_steps(choices: list[int]) -> None:
    progress, events = RunState(run()), [Event(EventName.RUN_CREATED, run())]
    for number, choice in enumerate(choices):
        parts: list[c.Command] = [
            c.OpenMessage(RunStepId(f"step_{number}"), MessageId(f"msg_{number}")),
            c.CloseMessage((TextPart("x"),), Usage(2, 1)),
            c.OpenToolCalls(RunStepId(f"step_{number}")),
            c.CloseToolCalls((CALL,), Usage(5, 5)),
        ]
        try:
            decision = decide(progress, [*COMMANDS, *parts][choice], 200 + number)
        except Conflict:
            continue
        progress = decision.state
        events += decision.events
    folded = fold(events)
    assert folded.run is not None
    assert folded.run.status is progress.run.status
    open_steps = [step for step in folded.steps.values() if step.status is RunStepStatus.IN_PROGRESS]
    assert [step.id for step in open_steps] == ([progress.step.id] if progress.step else [])
    if progress.run.is_terminal:
        assert open_steps == []
        spent = sum((step.usage for step in folded.steps.values() if step.usage), Usage())
        assert progress.run.usage == spent


def test_fold_goes_on_from_where_it_was_and_leaves_threads_alone() -> None:
    first = fold([Event(EventName.THREAD_CREATED, Thread(ThreadId("thread_1"), ProjectId("p"), 1))])
    assert first.run is None
    more = fold(after(speaking(), c.Fail(ERROR)).events, first)
    assert more.run is not None
    assert fold([], more) == more
