"""What the rehearsal does next: finds the script and the place in it from nothing but the prompt. Pure.

The place is the number of assistant turns behind the last user message, so a run that is taken over, or that continues
after tool outputs, goes on where it was without anybody remembering.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from threadmill.adapters.models.rehearsal.schema_sample import first_argument, sample_text
from threadmill.adapters.models.rehearsal.script import (
    MAX_TEXT,
    BadScript,
    Call,
    Directive,
    Refuse,
    Say,
    ScriptTurn,
    is_script,
    lines_of,
    parse,
    too_long,
    within_length,
)
from threadmill.domain.message import TextPart
from threadmill.domain.tool import FunctionTool, ResponseFormatType, ToolChoiceMode
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptRole

HEADING = "rehearsal:"
"""The line of the instructions behind which a script stands."""

ATTACHED = "Attached files: "
"""How a prompt names a message's attachments; that line is the server's, not the user's."""

MAX_DIGITS = 9

_PLACEHOLDER = re.compile(r"\{\{\s*(output|outputs\.(\d+))\s*\}\}")
_ARGUMENT = {"code_interpreter": "input", "file_search": "query"}
"""The one argument of a server tool whose schema names none."""


@dataclass(frozen=True, slots=True)
class _ScriptState:
    """`turns` the assistant took and `outputs` the tools gave since `last_user_text`, the last user message."""

    instructions: str
    last_user_text: str
    turns: int
    outputs: tuple[str, ...]
    is_after_tools: bool


def next_turn(request: ModelRequest) -> ScriptTurn:
    """The turn to play, its placeholders filled and its arguments complete. Raises BadScript."""
    state = _script_state(request.messages)
    script = _script(state)
    if script is None:
        return ScriptTurn((_default_reply(request, state),))
    turns = parse(script)
    if state.turns >= len(turns):
        return ScriptTurn((_after_the_end(request, state),))
    turn = turns[state.turns]
    filled = (_filled(directive, state.outputs, request.tools) for directive in turn.directives)
    return replace(turn, directives=within_length(filled))


def _script_state(messages: Sequence[PromptMessage]) -> _ScriptState:
    last = max((at for at, message in enumerate(messages) if message.role is PromptRole.USER), default=-1)
    since = messages[last + 1 :]
    return _ScriptState(
        instructions="\n".join(_text(message) for message in messages if message.role is PromptRole.SYSTEM),
        last_user_text=_text(messages[last]) if last >= 0 else "",
        turns=sum(message.role is PromptRole.ASSISTANT for message in since),
        outputs=tuple(_text(message) for message in since if message.role is PromptRole.TOOL),
        is_after_tools=bool(since) and since[-1].role is PromptRole.TOOL,
    )


def _text(message: PromptMessage) -> str:
    texts = [part.value for part in message.parts if isinstance(part, TextPart)]
    return "\n".join(text for at, text in enumerate(texts) if at == 0 or not text.startswith(ATTACHED))


def _script(state: _ScriptState) -> str | None:
    """The message's script, else the instructions'."""
    if is_script(state.last_user_text):
        return state.last_user_text
    lines = lines_of(state.instructions)
    headings = [at for at, line in enumerate(lines) if line.strip().lower() == HEADING]
    # Blank lines stand for those above, so that an error names the line of the instructions.
    return "\n".join([""] * (headings[0] + 1) + lines[headings[0] + 1 :]) if headings else None


def _default_reply(request: ModelRequest, state: _ScriptState) -> Directive:
    forced = None if state.is_after_tools else _forced(request)
    if forced is not None:
        return Call(forced.name, sample_text(forced.parameters))
    if state.is_after_tools:
        return _as_response_format(request, _tool_reply(state))
    return _as_response_format(
        request,
        f"You said: {state.last_user_text}" if state.last_user_text.strip() else "You said nothing.",
    )


def _after_the_end(request: ModelRequest, state: _ScriptState) -> Directive:
    return _as_response_format(
        request, _tool_reply(state) if state.is_after_tools else "The rehearsal script is at its end."
    )


def _tool_reply(state: _ScriptState) -> str:
    return f"The tool answered: {state.outputs[-1]}"


def _as_response_format(request: ModelRequest, text: str) -> Say:
    """`text`, or the JSON the response format demands."""
    wanted = request.response_format
    if wanted.type is ResponseFormatType.JSON_OBJECT:
        return Say(json.dumps({"answer": text}, ensure_ascii=False))
    if wanted.type is ResponseFormatType.JSON_SCHEMA and wanted.json_schema is not None:
        return Say(sample_text(wanted.json_schema, member="schema"))
    return Say(text)


def _forced(request: ModelRequest) -> FunctionTool | None:
    """The function the tool choice demands, if it is offered."""
    choice = request.tool_choice
    if choice.named is not None:
        name = choice.named.function or choice.named.type
        return next((tool for tool in request.tools if tool.name == name), None)
    return next(iter(request.tools), None) if choice.mode is ToolChoiceMode.REQUIRED else None


def _filled(directive: Directive, outputs: Sequence[str], tools: Sequence[FunctionTool]) -> Directive:
    match directive:
        case Say() | Refuse():
            return replace(directive, text=_with_outputs(directive.text, outputs))
        case Call():
            return _call(directive, outputs, tools)
        case _:
            return directive


def _call(directive: Call, outputs: Sequence[str], tools: Sequence[FunctionTool]) -> Call:
    if directive.text is None:
        arguments = _with_outputs(directive.arguments, outputs, in_json=True)
    else:
        offered = next((tool for tool in tools if tool.name == directive.name), None)
        if offered is None:
            raise BadScript(f"Rehearsal script: it uses {directive.name}, which this run does not offer to the model.")
        text = _with_outputs(directive.text, outputs)
        arguments = json.dumps(
            first_argument(offered.parameters, text) or {_ARGUMENT[directive.name]: text}, ensure_ascii=False
        )
    return replace(directive, arguments=arguments[:-1] if directive.is_broken else arguments)


def _place(digits: str | None, outputs: Sequence[str]) -> int:
    """The last output for no digits; one that is not there for more digits than int() would read."""
    if digits is None:
        return -1
    return int(digits) if len(digits) <= MAX_DIGITS else len(outputs)


def _with_outputs(text: str, outputs: Sequence[str], *, in_json: bool = False) -> str:
    """`{{output}}` and `{{outputs.N}}` replaced; escaped where they stand inside a JSON string."""

    def value(match: re.Match[str]) -> str:
        at = _place(match[2], outputs)
        if at >= len(outputs) or not outputs:
            raise BadScript(f"Rehearsal script: {match[0]} has no value; so far there are {len(outputs)} tool outputs.")
        return json.dumps(outputs[at], ensure_ascii=False)[1:-1] if in_json else outputs[at]

    length = 0
    parts: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        # Before it is joined: a script of placeholders and one long output would be gigabytes.
        parts += (text[end : match.start()], value(match))
        length += len(parts[-1])
        if length > MAX_TEXT:
            raise too_long()
        end = match.end()
    return "".join([*parts, text[end:]])
