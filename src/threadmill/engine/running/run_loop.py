"""Step 5 of a run: turn by turn until a message ends it, the client must act, or a limit is hit. Never claims or settles.

Each step either goes on or raises `EndRun` with the command that ends the run; `run_to_end` is the whole story.
"""

from dataclasses import replace
from typing import assert_never

from threadmill.domain import command as c
from threadmill.domain.message import IncompleteReason
from threadmill.domain.outcome import ErrorCode, LastError, RunIncompleteReason
from threadmill.domain.tool import CodeInterpreterTool, FunctionCall, ToolCall
from threadmill.engine.ports.model import FinishReason
from threadmill.engine.running.code_call import CodeCall
from threadmill.engine.running.draft import CallDraft, CodeDraft, FunctionDraft, SearchDraft
from threadmill.engine.running.execution import Execution
from threadmill.engine.running.prompt_builder import build_prompt
from threadmill.engine.running.run_recorder import noting_tool
from threadmill.engine.running.search_call import answer_search
from threadmill.engine.running.store_wait import wait_for_stores
from threadmill.engine.running.turn import Turn, run_turn


class EndRun(Exception):
    """The run ends with these commands, committed as one."""

    def __init__(self, *commands: c.Command) -> None:
        super().__init__()
        self.commands: tuple[c.Command, ...] = commands


async def run_to_end(execution: Execution) -> None:
    """Drive a claimed, started run until it is terminal or requires action. Raises ModelError, VersionConflict."""
    try:
        while True:
            check_limits(execution)
            await execution.patiently(lambda: check_stores(execution))
            prompt = await execution.patiently(lambda: build_prompt(execution))
            if prompt is None:
                raise EndRun(c.StopIncomplete(RunIncompleteReason.MAX_PROMPT_TOKENS))
            turn = await run_turn(execution, prompt)
            raise_if_finished(execution, turn)
            await answer_calls(execution, turn)
    except EndRun as end:
        await execution.apply(*end.commands)


def check_limits(execution: Execution) -> None:
    """Before each turn: tools this server has, the turn guard, the completion budget (behaviour.md 1.7)."""
    run = execution.run
    refusal = _refusal(execution)
    if refusal is not None:
        raise EndRun(c.Fail(LastError(ErrorCode.SERVER_ERROR, refusal)))
    if run.turns >= execution.settings.max_turns:
        text = f"The run was stopped after {run.turns} model turns without an end."
        raise EndRun(c.Fail(LastError(ErrorCode.SERVER_ERROR, text)))
    if run.max_completion_tokens is not None and run.usage.completion_tokens >= run.max_completion_tokens:
        raise EndRun(c.StopIncomplete(RunIncompleteReason.MAX_COMPLETION_TOKENS))


async def check_stores(execution: Execution) -> None:
    """Before the first turn: what the run may search is there to be searched."""
    refusal = None if execution.run.turns else await wait_for_stores(execution)
    if refusal is not None:
        raise EndRun(c.Fail(LastError(ErrorCode.SERVER_ERROR, refusal)))


def _refusal(execution: Execution) -> str | None:
    """Why a tool of the run cannot be offered here."""
    for tool in execution.run.tools:
        if (
            isinstance(tool, CodeInterpreterTool)
            and (refusal := execution.ports.sandbox.unavailable_reason) is not None
        ):
            return refusal
    return None


def raise_if_finished(execution: Execution, turn: Turn) -> None:
    """Raise `EndRun` unless the turn has calls to answer. What the model said decides, then why it stopped."""
    calls = execution.draft.calls
    match turn.finish:
        case FinishReason.LENGTH if calls:
            error = LastError(ErrorCode.SERVER_ERROR, "The model ran out of tokens while writing this call.")
            close = c.CloseToolCalls(execution.draft.tool_calls(), turn.usage, error)
            raise EndRun(close, c.StopIncomplete(RunIncompleteReason.MAX_COMPLETION_TOKENS))
        case FinishReason.LENGTH:
            close = _close_message(execution, turn, IncompleteReason.MAX_TOKENS)
            raise EndRun(close, c.StopIncomplete(RunIncompleteReason.MAX_COMPLETION_TOKENS))
        case FinishReason.CONTENT_FILTER:
            text = "The model's answer was stopped by the upstream's content filter."
            fail = c.Fail(LastError(ErrorCode.SERVER_ERROR, text))
            raise (
                EndRun(fail)
                if calls
                else EndRun(_close_message(execution, turn, IncompleteReason.CONTENT_FILTER), fail)
            )
        case FinishReason.STOP | FinishReason.TOOL_CALLS:
            if not calls:
                raise EndRun(_close_message(execution, turn), c.Complete())
        case _:
            assert_never(turn.finish)


def _close_message(execution: Execution, turn: Turn, incomplete: IncompleteReason | None = None) -> c.CloseMessage:
    return c.CloseMessage(execution.draft.content(), turn.usage, incomplete)


async def answer_calls(execution: Execution, turn: Turn) -> None:
    """This server's own tools run now, in order; functions end this drive with a required action."""
    if not all(isinstance(call, FunctionDraft) for call in execution.draft.calls):
        await execution.store_held()  # our own tools take their time
    if any(isinstance(call, CodeDraft) for call in execution.draft.calls):
        await execution.persist_calls()
    calls = tuple([await _answer(execution, call) for call in execution.draft.calls])
    if any(isinstance(call, FunctionCall) and call.output is None for call in calls):
        raise EndRun(c.RequireAction(calls, turn.usage))
    await execution.apply(c.CloseToolCalls(calls, turn.usage))


async def _answer(execution: Execution, call: CallDraft) -> ToolCall:
    match call:
        case FunctionDraft():
            return _answer_if_impossible(execution, call)
        case CodeDraft():
            with noting_tool(execution, call, "code_interpreter"):
                return await CodeCall(execution, call).answer()
        case SearchDraft():
            with noting_tool(execution, call, "file_search"):
                return await answer_search(execution, call)
        case _:
            assert_never(call)


def _answer_if_impossible(execution: Execution, call: FunctionDraft) -> FunctionCall:
    """Calls no client could execute are answered to the model."""
    offered = [tool.name for tool in execution.run.tools if tool.type == "function"]
    made = call.call()
    if call.name not in offered:
        return replace(made, output=f"Error: there is no function named '{call.name}'. Functions: {offered}.")
    if not call.has_valid_arguments():
        return replace(made, output="Error: the arguments are not a valid JSON object. Call the function again.")
    return made
