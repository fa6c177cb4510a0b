"""Thread + instructions + this run's steps -> a model request. Pure: values in, values out, nothing awaited."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from threadmill.domain.ids import FileId, MessageId
from threadmill.domain.message import (
    ContentPart,
    ImageFilePart,
    ImageUrlPart,
    IncompleteReason,
    Message,
    MessageRole,
    RefusalPart,
    TextPart,
)
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.tool import CodeInterpreterCall, FileSearchCall, FunctionCall, ToolCall, ToolChoice
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptRole
from threadmill.engine.prompt import file_search_prompt
from threadmill.engine.prompt.tool_functions import as_functions, function_choice, function_name

MESSAGE_OVERHEAD = 4
"""Tokens a chat template spends on a message besides its text."""

MODEL_LOGS = 16_000
"""Characters of one call's logs the model is shown; the middle of longer ones is left out."""

IMAGE_TOKENS = 800
"""Tokens reckoned for a picture, whose true cost only the model knows."""


SHORT_PROMPT = 64 * 1024
"""Characters."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a prompt is made of: `history` may be truncated, `head` (instructions) and `tail` (this run) may not."""

    head: tuple[PromptMessage, ...]
    history: tuple[PromptMessage, ...]
    tail: tuple[PromptMessage, ...]

    def everything(self) -> tuple[PromptMessage, ...]:
        """All of it, in order."""
        return (*self.head, *self.history, *self.tail)


def build_conversation(
    run: Run, history: Sequence[Message], steps: Sequence[RunStep], names: Mapping[FileId, str], surroundings: str = ""
) -> Conversation:
    """Lay out the conversation. `history` is the thread oldest first, `steps` are this run's, oldest first; `names`
    are those of the attached files that still exist; `surroundings` is told ahead of the instructions.
    """
    # One system message: the templates of many local models know no second one.
    system = "\n\n".join(filter(None, (surroundings, run.instructions)))
    head = (_text(PromptRole.SYSTEM, system),) if system else ()
    before = tuple(
        _to_prompt_message(message, names)
        for message in history
        if message.run_id != run.id and _is_in_conversation(message)
    )
    if run.truncation.last_messages is not None:
        before = before[-run.truncation.last_messages :]
    own = {message.id: message for message in history if message.run_id == run.id}
    tail: list[PromptMessage] = []
    for step in steps:
        if step.type is RunStepType.TOOL_CALLS:
            _add_calls(tail, run, step)
        elif (message := own.get(step.message_id or MessageId(""))) is not None and _is_in_conversation(message):
            tail.append(_to_prompt_message(message, names))
    return Conversation(head, before, tuple(tail))


def build_request(run: Run, messages: tuple[PromptMessage, ...]) -> ModelRequest:
    """The request with the run's parameters; the budget that is left; defaults left to the upstream."""
    left = None if run.max_completion_tokens is None else run.max_completion_tokens - run.usage.completion_tokens
    return ModelRequest(
        model=run.model,
        messages=messages,
        tools=as_functions(run),
        # A forced tool is forced on the first turn only, or the run could never end with a message.
        tool_choice=function_choice(run) if run.turns == 0 or not _forces(run.tool_choice) else ToolChoice(),
        parallel_tool_calls=run.parallel_tool_calls,
        response_format=run.response_format,
        # 1.0 is what every upstream does by itself, and some reasoning models refuse to be told.
        temperature=None if run.temperature == 1.0 else run.temperature,
        top_p=None if run.top_p == 1.0 else run.top_p,
        reasoning_effort=run.reasoning_effort,
        max_completion_tokens=left,
        options=run.options,
        project=run.project,
    )


def _forces(choice: ToolChoice) -> bool:
    return choice.named is not None or choice.mode == "required"


def fit(conversation: Conversation, budget: int, count: Callable[[str], int]) -> tuple[PromptMessage, ...] | None:
    """The messages within `budget` tokens, dropping from the middle of the history (behaviour.md 5).

    The newest are kept first, the oldest as far as room remains. None if even the newest does not fit.
    """
    history = conversation.history
    room = budget - sum(cost(message, count) for message in (*conversation.head, *conversation.tail))
    if room < 0:
        return None
    kept = _select_to_fit(history, room, count)
    if history and not kept:
        return None
    return (*conversation.head, *(history[index] for index in sorted(kept)), *conversation.tail)


def _select_to_fit(history: Sequence[PromptMessage], room: int, count: Callable[[str], int]) -> set[int]:
    """Indexes that fit, taken newest, oldest, next newest, next oldest … until one does not fit."""
    kept: set[int] = set()
    left, right = 0, len(history) - 1
    from_end = True
    while left <= right:
        index = right if from_end else left
        room -= cost(history[index], count)
        if room < 0:
            break
        kept.add(index)
        if from_end:
            right -= 1
        else:
            left += 1
        from_end = not from_end
    return kept


def cost(message: PromptMessage, count: Callable[[str], int]) -> int:
    """Tokens of one prompt message."""
    images = sum(isinstance(part, ImageUrlPart | ImageFilePart) for part in message.parts)
    return count(message_text(message)) + MESSAGE_OVERHEAD + images * IMAGE_TOKENS


def surely_fits(conversation: Conversation, budget: int) -> bool:
    """A token is at least one byte: most prompts are known to fit without being counted."""
    return sum(cost(message, _byte_length) for message in conversation.everything()) <= budget


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def is_short(conversation: Conversation) -> bool:
    """Short enough to be looked at while every stream of the process waits."""
    return sum(len(message_text(message)) for message in conversation.everything()) <= SHORT_PROMPT


def message_text(message: PromptMessage) -> str:
    """All text of a prompt message, calls included."""
    texts = [part.value for part in message.parts if isinstance(part, TextPart)]
    texts += [part.refusal for part in message.parts if isinstance(part, RefusalPart)]
    return "\n".join([*texts, *(call.name + call.arguments for call in message.tool_calls)])


def _text(role: PromptRole, text: str, tool_call_id: str | None = None) -> PromptMessage:
    return PromptMessage(role, (TextPart(text),), tool_call_id=tool_call_id)


def _is_in_conversation(message: Message) -> bool:
    """Whether a message is part of the conversation: not the torn text of a lost worker (design 3.8), not nothing."""
    torn = message.incomplete_reason is IncompleteReason.RUN_FAILED
    return bool(message.content) and not torn


def _to_prompt_message(message: Message, names: Mapping[FileId, str]) -> PromptMessage:
    role = PromptRole.USER if message.role is MessageRole.USER else PromptRole.ASSISTANT
    parts: tuple[ContentPart, ...] = message.content
    named = [_name(one.file_id, one.tools, names) for one in message.attachments if one.file_id]
    if named:
        parts = (*parts, TextPart("Attached files: " + ", ".join(named)))
    return PromptMessage(role, parts)


def _name(file_id: FileId, tools: Sequence[str] | None, names: Mapping[FileId, str]) -> str:
    if file_id not in names:
        return f"{file_id} (deleted)"
    return f"{file_id} ('{names[file_id]}', for {', '.join(tools or ()) or 'no tool'})"


def _add_calls(tail: list[PromptMessage], run: Run, step: RunStep) -> None:
    """A step's calls and their outputs, in order; text of the same turn is joined, as upstreams demand."""
    lost = "Error: the server stopped before this call was answered." if step.status is RunStepStatus.FAILED else ""
    answered = [_as_function(call, run, lost) for call in step.tool_calls]
    calls = tuple(replace(call, output=None) for call in answered)
    if not calls:
        return
    if tail and tail[-1].role is PromptRole.ASSISTANT and not tail[-1].tool_calls:
        tail[-1] = replace(tail[-1], tool_calls=calls)
    else:
        tail.append(PromptMessage(PromptRole.ASSISTANT, tool_calls=calls))
    for call in answered:
        tail.append(_text(PromptRole.TOOL, call.output or "", call.id))


def _as_function(call: ToolCall, run: Run, lost: str) -> FunctionCall:
    """A call as the model made it, with what it is told of the outcome."""
    match call:
        case FunctionCall():
            return call if call.output is not None else replace(call, output=lost)
        case CodeInterpreterCall():
            arguments = json.dumps({"code": call.input}, ensure_ascii=False)
            return FunctionCall(
                call.id, function_name(run, call.type), arguments, render_code_result(call) or lost or "(no output)"
            )
        case FileSearchCall():
            arguments = json.dumps({"queries": call.queries}, ensure_ascii=False)
            return FunctionCall(
                call.id,
                function_name(run, call.type),
                arguments,
                file_search_prompt.render_results(call) or lost or file_search_prompt.NO_RESULTS,
            )
        case _:
            assert_never(call)


def render_code_result(call: CodeInterpreterCall) -> str:
    """What the model learns of its code: the logs, then the notes."""
    logs = "".join(output.logs for output in call.outputs if output.logs is not None)
    if len(logs) > MODEL_LOGS:
        half = MODEL_LOGS // 2
        left_out = f"\n[… {len(logs) - MODEL_LOGS:,} characters left out …]\n"
        logs = logs[:half] + left_out + logs[-half:]
    return "\n".join(filter(None, (logs.rstrip("\n"), call.note)))
