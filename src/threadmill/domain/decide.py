"""decide(): the one function that applies the tables. A value goes in, the new value *and its events* come out.

It must never wait, look at a clock or choose an id: what it needs comes with the command and `at`.
"""

from dataclasses import dataclass
from typing import assert_never

from threadmill.domain import command as c
from threadmill.domain.error import Conflict, OutputsNotAccepted, RunNotCancellable, WrongToolOutputs
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import CallId, Instant, RunStepId
from threadmill.domain.message import (
    MESSAGE_TRANSITIONS,
    IncompleteReason,
    Message,
    MessageRole,
    MessageStatus,
)
from threadmill.domain.outcome import ErrorCode, LastError, Usage
from threadmill.domain.replacement import replace
from threadmill.domain.run import RUN_TRANSITIONS, Run, RunStatus
from threadmill.domain.run_step import RUN_STEP_TRANSITIONS, RunStep, RunStepStatus, RunStepType
from threadmill.domain.tool import FunctionCall, ToolCall, ToolOutput


@dataclass(frozen=True, slots=True)
class RunState:
    """A run with what it has open: at most one step, and at most one message, which belongs to that step."""

    run: Run
    step: RunStep | None = None
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome: what is open now, what was changed (in order), and the facts to be stored with it."""

    state: RunState
    changed: tuple[RunStep | Message, ...]
    events: tuple[Event, ...]


def decide(progress: RunState, command: c.Command, at: Instant) -> Decision:
    """Apply `command` at second `at`.

    Raises RunNotCancellable, OutputsNotAccepted, WrongToolOutputs with the texts of behaviour.md 1.5 and 1.6, and
    Conflict for any other command the table does not know in this status.
    """
    match command:
        case c.OpenMessage() | c.CloseMessage() | c.OpenToolCalls() | c.CloseToolCalls():
            return _decide_step(progress, command, at)
        case _:
            return _decide_run(progress, command, at)


def _decide_run(progress: RunState, command: c.RunCommand, at: Instant) -> Decision:
    run = progress.run
    status = RUN_TRANSITIONS[run.status].get(type(command))
    if status is None:
        raise _refusal(run, command)
    if isinstance(command, c.SubmitToolOutputs):
        return _submit(progress, command.outputs, at)
    if isinstance(command, c.RequireAction) and status is RunStatus.REQUIRES_ACTION:
        return _require_action(progress, command)
    closed = _close_open(progress, status, command, at)
    moved = _with_status(run, status, command, at)
    return Decision(_with_run(closed.state, moved), closed.changed, (*closed.events, Event(_run_event(status), moved)))


def _with_run(progress: RunState, run: Run) -> RunState:
    return replace(progress, run=run)


def _refusal(run: Run, command: c.Command) -> Conflict:
    if isinstance(command, c.Cancel):
        return RunNotCancellable(f"Cannot cancel run with status '{run.status}'.")
    if isinstance(command, c.SubmitToolOutputs):
        return OutputsNotAccepted(f'Runs in status "{run.status}" do not accept tool outputs.')
    return Conflict(f"A run in status '{run.status}' does not take {type(command).__name__}.")


def _run_event(status: RunStatus) -> EventName:
    return EventName(f"thread.run.{status}")


def _with_status(run: Run, status: RunStatus, command: c.RunCommand, at: Instant) -> Run:
    """The run in its new status, with the timestamps of behaviour.md 1.3."""
    run = replace(run, status=status, version=run.version + 1)
    match status:
        case RunStatus.QUEUED:
            is_lost = isinstance(command, c.Rescue) and not command.is_planned
            return replace(run, rescues=run.rescues + 1) if is_lost else run
        case RunStatus.CANCELLING | RunStatus.REQUIRES_ACTION:
            return run
        case RunStatus.IN_PROGRESS:
            return replace(run, started_at=at)
        case RunStatus.COMPLETED:
            return replace(run, completed_at=at, expires_at=None)
        case RunStatus.INCOMPLETE:
            reason = command.reason if isinstance(command, c.StopIncomplete) else None
            return replace(run, completed_at=at, expires_at=None, incomplete_reason=reason)
        case RunStatus.FAILED:
            error = command.error if isinstance(command, c.Fail) else None
            return replace(run, failed_at=at, expires_at=None, last_error=error)
        case RunStatus.CANCELLED:
            return replace(run, cancelled_at=at, expires_at=None, required_action=())
        case RunStatus.EXPIRED:
            # expires_at stays: it says when (behaviour.md 1.3 leaves it open).
            return replace(run, required_action=())
        case _:
            assert_never(status)


_CLOSING: dict[RunStatus, tuple[RunStepStatus, IncompleteReason]] = {
    RunStatus.CANCELLED: (RunStepStatus.CANCELLED, IncompleteReason.RUN_CANCELLED),
    RunStatus.EXPIRED: (RunStepStatus.EXPIRED, IncompleteReason.RUN_EXPIRED),
    RunStatus.FAILED: (RunStepStatus.FAILED, IncompleteReason.RUN_FAILED),
    # A rescued run: the partial text stays readable but is kept out of later prompts (design 3.8).
    RunStatus.QUEUED: (RunStepStatus.FAILED, IncompleteReason.RUN_FAILED),
    # Reached only by an engine that forgot to close; the client still gets every part closed (invariant 6).
    RunStatus.COMPLETED: (RunStepStatus.FAILED, IncompleteReason.RUN_FAILED),
    RunStatus.INCOMPLETE: (RunStepStatus.FAILED, IncompleteReason.RUN_FAILED),
}

WORKER_LOST = LastError(ErrorCode.SERVER_ERROR, "The server stopped while working on this step; the run goes on.")


def _close_open(progress: RunState, status: RunStatus, command: c.RunCommand, at: Instant) -> Decision:
    """Close what is open before the run leaves in_progress or ends, message first (behaviour.md 3.3)."""
    if status not in _CLOSING or progress.step is None:
        return Decision(progress, (), ())
    step_status, reason = _CLOSING[status]
    error = command.error if isinstance(command, c.Fail) else WORKER_LOST
    step = _closed_step(progress.step, step_status, at, error=error)
    step_event = Event(EventName(f"thread.run.step.{step_status}"), step)
    if progress.message is None:
        return Decision(RunState(progress.run), (step,), (step_event,))
    message = _closed_message(progress.message, reason, at)
    message_event = Event(EventName.MESSAGE_INCOMPLETE, message)
    return Decision(RunState(progress.run), (message, step), (message_event, step_event))


def _closed_message(message: Message, incomplete: IncompleteReason | None, at: Instant) -> Message:
    status = MessageStatus.COMPLETED if incomplete is None else MessageStatus.INCOMPLETE
    if status not in MESSAGE_TRANSITIONS[message.status]:
        raise Conflict(f"A message in status '{message.status}' cannot become '{status}'.")
    if incomplete is None:
        return replace(message, status=status, completed_at=at, version=message.version + 1)
    return replace(message, status=status, incomplete_reason=incomplete, incomplete_at=at, version=message.version + 1)


def _closed_step(step: RunStep, status: RunStepStatus, at: Instant, *, error: LastError | None = None) -> RunStep:
    if status not in RUN_STEP_TRANSITIONS[step.status]:
        raise Conflict(f"A run step in status '{step.status}' cannot become '{status}'.")
    step = replace(step, status=status, version=step.version + 1)
    match status:
        case RunStepStatus.COMPLETED:
            return replace(step, completed_at=at)
        case RunStepStatus.CANCELLED:
            return replace(step, cancelled_at=at)
        case RunStepStatus.EXPIRED:
            return replace(step, expired_at=at)
        case _:
            return replace(step, failed_at=at, last_error=_step_error(error))


def _step_error(error: LastError | None) -> LastError | None:
    # Steps know only server_error and rate_limit_exceeded (behaviour.md 1.7).
    if error is not None and error.code is ErrorCode.INVALID_PROMPT:
        return LastError(ErrorCode.SERVER_ERROR, error.message)
    return error


def _require_action(progress: RunState, command: c.RequireAction) -> Decision:
    step = open_step(progress, RunStepType.TOOL_CALLS)
    step = replace(step, tool_calls=command.calls, usage=command.usage, version=step.version + 1)
    waiting = tuple(call for call in command.calls if isinstance(call, FunctionCall) and call.output is None)
    run = replace(
        progress.run,
        status=RunStatus.REQUIRES_ACTION,
        required_action=waiting,
        usage=progress.run.usage + command.usage,
        version=progress.run.version + 1,
    )
    return Decision(RunState(run, step), (step,), (Event(EventName.RUN_REQUIRES_ACTION, run),))


def _submit(progress: RunState, outputs: tuple[ToolOutput, ...], at: Instant) -> Decision:
    """Answer the required action; the step completes first, then the run is queued (behaviour.md 3.3)."""
    expected = [str(call.id) for call in progress.run.required_action]
    got = [str(output.tool_call_id) for output in outputs]
    if sorted(expected) != sorted(got):
        raise WrongToolOutputs(f"Expected tool outputs for call_ids {expected}, got {got}")
    answers = {output.tool_call_id: output.output for output in outputs}
    step = open_step(progress, RunStepType.TOOL_CALLS)
    step = replace(step, tool_calls=tuple(_answered(call, answers) for call in step.tool_calls))
    step = _closed_step(step, RunStepStatus.COMPLETED, at)
    run = replace(progress.run, status=RunStatus.QUEUED, required_action=(), version=progress.run.version + 1)
    events = (Event(EventName.STEP_COMPLETED, step), Event(EventName.RUN_QUEUED, run))
    return Decision(RunState(run), (step,), events)


def _answered(call: ToolCall, answers: dict[CallId, str]) -> ToolCall:
    return replace(call, output=answers[call.id]) if isinstance(call, FunctionCall) and call.id in answers else call


def open_step(progress: RunState, kind: RunStepType) -> RunStep:
    """The step that is open. Raises Conflict if there is none, or one of the other kind."""
    if progress.step is None or progress.step.type is not kind:
        raise Conflict(f"The run has no open {kind} step.")
    return progress.step


def open_message(progress: RunState) -> Message:
    """The message that is open. Raises Conflict if there is none."""
    if progress.message is None:
        raise Conflict("The run has no open message.")
    return progress.message


def _decide_step(progress: RunState, command: c.StepCommand, at: Instant) -> Decision:
    if progress.run.status is not RunStatus.IN_PROGRESS:
        raise _refusal(progress.run, command)
    match command:
        case c.OpenMessage():
            return _open_message(progress, command, at)
        case c.OpenToolCalls(step_id):
            step = _new_step(progress, RunStepType.TOOL_CALLS, at, step_id=step_id)
            return Decision(replace(progress, step=step), (step,), _opened(step))
        case c.CloseMessage():
            return _close_message(progress, command, at)
        case c.CloseToolCalls(calls, usage, error):
            status = RunStepStatus.COMPLETED if error is None else RunStepStatus.FAILED
            step = replace(open_step(progress, RunStepType.TOOL_CALLS), tool_calls=calls, usage=usage)
            step = _closed_step(step, status, at, error=error)
            event = Event(EventName(f"thread.run.step.{status}"), step)
            return Decision(RunState(_with_usage(progress.run, usage)), (step,), (event,))
        case _:
            assert_never(command)


def _new_step(progress: RunState, kind: RunStepType, at: Instant, *, step_id: RunStepId) -> RunStep:
    if progress.step is not None:
        raise Conflict("The run has a step open already.")
    run = progress.run
    return RunStep(
        id=step_id,
        project=run.project,
        thread_id=run.thread_id,
        run_id=run.id,
        assistant_id=run.assistant_id,
        created_at=at,
        type=kind,
        expires_at=run.expires_at,
    )


def _opened(step: RunStep) -> tuple[Event, ...]:
    # The service sends both at once, with one and the same object (behaviour.md 3.3).
    return (Event(EventName.STEP_CREATED, step), Event(EventName.STEP_IN_PROGRESS, step))


def _open_message(progress: RunState, command: c.OpenMessage, at: Instant) -> Decision:
    step = _new_step(progress, RunStepType.MESSAGE_CREATION, at, step_id=command.step_id)
    step = replace(step, message_id=command.message_id)
    message = Message(
        id=command.message_id,
        project=step.project,
        thread_id=step.thread_id,
        created_at=at,
        role=MessageRole.ASSISTANT,
        content=(),
        status=MessageStatus.IN_PROGRESS,
        assistant_id=step.assistant_id,
        run_id=step.run_id,
    )
    opened = (Event(EventName.MESSAGE_CREATED, message), Event(EventName.MESSAGE_IN_PROGRESS, message))
    return Decision(RunState(progress.run, step, message), (step, message), (*_opened(step), *opened))


def _close_message(progress: RunState, command: c.CloseMessage, at: Instant) -> Decision:
    step = open_step(progress, RunStepType.MESSAGE_CREATION)
    message = _closed_message(replace(open_message(progress), content=command.content), command.incomplete, at)
    step = _closed_step(replace(step, usage=command.usage), RunStepStatus.COMPLETED, at)
    events = (
        Event(EventName(f"thread.message.{message.status}"), message),
        Event(EventName.STEP_COMPLETED, step),
    )
    return Decision(RunState(_with_usage(progress.run, command.usage)), (message, step), events)


def _with_usage(run: Run, usage: Usage) -> Run:
    """A step was closed: the run got on."""
    return replace(run, usage=run.usage + usage, rescues=0, version=run.version + 1)
