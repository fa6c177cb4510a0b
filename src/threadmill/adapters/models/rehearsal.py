"""The built-in model `rehearsal`: deterministic, offline. It plays a script written in the conversation (ADR-0010).

Where the script stands is read from the prompt alone: as many blocks are done as the run has answered tool calls, so a
rescued run goes on where it was. The language is documented in docs/reference/rehearsal.md.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, cast

from threadmill.adapters.models.script import Block, Failure, parse
from threadmill.domain.message import TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.tool import FunctionTool, ResponseFormatType, ToolChoiceMode
from threadmill.engine.ports.model import (
    CallPiece,
    ContextTooLong,
    Finish,
    FinishReason,
    ModelError,
    ModelInfo,
    ModelRequest,
    Piece,
    PromptMessage,
    PromptRole,
    RefusalPiece,
)
from threadmill.engine.ports.tokens import Tokens

REHEARSAL = "rehearsal"
WINDOW = 128_000
_WORDS = re.compile(r"\S+\s*|\s+")
_OUTPUT = re.compile(r"\{\{output(?:s\.(\d+))?\}\}")


class Rehearsal:
    """See the port `Model`. `sleep` is asyncio's, or a test's."""

    def __init__(self, tokens: Tokens, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tokens: Tokens = tokens
        self._sleep: Callable[[float], Awaitable[None]] = sleep

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port. A script that cannot be read is a ModelError that names the line."""
        block = _block(request)
        said: list[str] = []
        for piece in _limited(request, self._tokens, _pieces(request, block)):
            if block.pause:
                await self._sleep(block.pause)
            yield [piece]
            said.append(_spent_on(piece))
        if block.failure is not None:
            await self._fail(block.failure)
        prompt = sum(self._tokens.count(_text(message), REHEARSAL) for message in request.messages)
        yield [Usage(prompt, self._tokens.count("".join(said), REHEARSAL))]

    async def _fail(self, kind: Failure) -> None:
        match kind:
            case Failure.RATE_LIMIT:
                text = "Rate limit reached for rehearsal on requests per min. Please try again in 1s."
                raise ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, text)
            case Failure.CONTEXT:
                raise ContextTooLong("This model's maximum context length is exceeded.")
            case Failure.CUT:
                raise ModelError(ErrorCode.SERVER_ERROR, "The upstream's answer was cut off.")
            case Failure.STALL:
                await asyncio.Event().wait()
            case Failure.SERVER_ERROR:
                raise ModelError(ErrorCode.SERVER_ERROR, "The rehearsal was told to fail.")

    async def list(self) -> Sequence[ModelInfo]:
        """See the port."""
        return [ModelInfo(REHEARSAL, 0, "threadmill", WINDOW)]

    def describe(self, model: str) -> ModelInfo:
        """See the port."""
        return ModelInfo(model, 0, "threadmill", WINDOW)

    async def ready(self) -> None:
        """Always."""


def _text(message: PromptMessage) -> str:
    return "\n".join(part.value for part in message.parts if isinstance(part, TextPart))


def _spent_on(piece: Piece) -> str:
    match piece:
        case str():
            return piece
        case CallPiece():
            return (piece.name or "") + piece.arguments
        case RefusalPiece():
            return piece.text
        case _:
            return ""


def _block(request: ModelRequest) -> Block:
    """The block of the script that is due."""
    messages = request.messages
    last_user = max((i for i, m in enumerate(messages) if m.role is PromptRole.USER), default=-1)
    spoken = _text(messages[last_user]) if last_user >= 0 else ""
    system = next((_text(m) for m in messages if m.role is PromptRole.SYSTEM), "")
    done = sum(bool(message.tool_calls) for message in messages[last_user + 1 :])
    script = parse(spoken) or parse(system.partition("rehearsal:\n")[2])
    if not script:
        return _unscripted(request, spoken, done)
    if done >= len(script):
        return Block(text="Done.")
    return script[done]


def _unscripted(request: ModelRequest, spoken: str, done: int) -> Block:
    """Without a script: call the function that is forced or the first one if any is required; else answer simply."""
    choice = request.tool_choice
    wanted = choice.named.function if choice.named else None
    tools = [tool for tool in request.tools if wanted in (None, tool.name)]
    if tools and not done and (choice.named or choice.mode is ToolChoiceMode.REQUIRED):
        return Block(calls=((tools[0].name, _arguments(tools[0])),))
    if request.response_format.type in (ResponseFormatType.JSON_OBJECT, ResponseFormatType.JSON_SCHEMA):
        return Block(text=_json_answer(request, spoken))
    if done:
        return Block(text="The functions answered: {{output}}")
    return Block(text=f"You said: {spoken.strip()}" if spoken.strip() else "Hello from rehearsal.")


def _json_answer(request: ModelRequest, spoken: str) -> str:
    if request.response_format.json_schema is None:
        return json.dumps({"answer": spoken.strip()}, ensure_ascii=False)
    given = cast("dict[str, Any]", json.loads(request.response_format.json_schema))
    return json.dumps(example(given.get("schema") or {}), ensure_ascii=False)


def _arguments(tool: FunctionTool) -> str:
    return json.dumps(example(cast("dict[str, Any]", json.loads(tool.parameters))), ensure_ascii=False)


_EXAMPLES: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None, "array": []}


def example(schema: dict[str, Any]) -> Any:
    """A small value a JSON Schema of the usual kind allows."""
    for known in ("const", "default"):
        if known in schema:
            return schema[known]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return example(schema[union][0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = cast("list[str]", kind)[0]
    if kind == "array" and schema.get("minItems"):
        return [example(schema.get("items") or {})]
    if kind == "object":
        properties = cast("dict[str, dict[str, Any]]", schema.get("properties") or {})
        names = cast("list[str]", schema.get("required") or list(properties))
        return {name: example(properties.get(name, {})) for name in names}
    return _EXAMPLES.get(kind, "text")


def _pieces(request: ModelRequest, block: Block) -> Sequence[Piece]:
    outputs = [_text(message) for message in request.messages if message.role is PromptRole.TOOL]

    def filled(found: re.Match[str]) -> str:
        number = int(found[1]) if found[1] else -1
        return outputs[number] if -len(outputs) <= number < len(outputs) else ""

    text = _OUTPUT.sub(filled, block.text)
    pieces: list[Piece] = [word for _ in range(block.repeat) for word in _WORDS.findall(text)]
    if block.refusal:
        pieces.extend(RefusalPiece(word) for word in _WORDS.findall(block.refusal))
    done = sum(len(message.tool_calls) for message in request.messages)
    for index, (name, arguments) in enumerate(block.calls):
        pieces.append(CallPiece(index, f"call_rehearsal{done + index:015d}", name))
        pieces.extend(CallPiece(index, arguments=part) for part in _halves(arguments))
    if block.failure is None:
        pieces.append(Finish(block.finish or (FinishReason.TOOL_CALLS if block.calls else FinishReason.STOP)))
    return pieces


def _halves(arguments: str) -> list[str]:
    middle = len(arguments) // 2
    return [part for part in (arguments[:middle], arguments[middle:]) if part]


def _limited(request: ModelRequest, tokens: Tokens, pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The pieces within max_completion_tokens; what is cut ends with `length`, as a real model's answer would."""
    left = request.max_completion_tokens
    if left is None:
        return pieces
    kept: list[Piece] = []
    for piece in pieces:
        left -= tokens.count(_spent_on(piece), REHEARSAL)
        if left < 0:
            return [*kept, Finish(FinishReason.LENGTH)]
        kept.append(piece)
    return kept
