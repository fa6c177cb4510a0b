"""What an upstream sends, as typed structs, and its translation into the engine's pieces.

Only the members we act on are named; msgspec skips the rest, so unknown members of any server do no harm. Numbers sent
as strings, missing members and nulls are taken as they come: compatible servers differ in exactly those.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeAlias

import msgspec

from threadmill.adapters.models.upstream.surrogates import SurrogateJoiner
from threadmill.adapters.models.upstream.thinking import MAX_THOUGHTS, ThinkingFilter
from threadmill.adapters.models.upstream.tool_call_decoder import ToolCallDecoder
from threadmill.adapters.models.upstream.upstream_error import TransientError, parse_error, to_model_error
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.engine.ports.model import Finish, FinishReason, ModelError, Piece, ReasoningPiece, RefusalPiece


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _TextPart(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None


_Content: TypeAlias = str | list[_TextPart] | None


class _Delta(msgspec.Struct):
    """A streamed delta, or the whole message of an answer that was not streamed: the same members."""

    content: _Content = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: int | None = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: object = None
    object: str | None = None


_decode = msgspec.json.Decoder(_Chunk, strict=False).decode
_decode_text = msgspec.json.Decoder(str).decode

_FINISH = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
"""Everything else upstreams say (`stop`, `eos`, `end_turn` …) is a plain stop."""

_DONE = b"[DONE]"


class ChunkDecoder:
    """Events of one answer in, pieces out. Knows which call a piece belongs to and whether the answer came to its end.

    `tools` are the names of the functions on offer; with `hides_thinking` a block of thoughts in front of the answer is
    taken out of it. An error inside the answer, or what is no chunk, becomes `error`; nothing behind it is read.
    """

    __slots__ = (
        "_calls",
        "_decode",
        "_filter",
        "_joiner",
        "_model",
        "_thoughts",
        "_usage",
        "done",
        "error",
        "finished",
    )

    def __init__(self, model: str, tools: Collection[str] = (), *, hides_thinking: bool = True) -> None:
        self.error: ModelError | None = None
        self._model: str = model
        self.done: bool = False
        self.finished: bool = False
        self._usage: Usage | None = None
        self._calls: ToolCallDecoder = ToolCallDecoder(tools)
        self._filter: ThinkingFilter | None = ThinkingFilter() if hides_thinking else None
        self._thoughts: str = ""
        self._joiner: SurrogateJoiner | None = None
        self._decode: Callable[[bytes], _Chunk] = _decode

    def read(self, events: Sequence[bytes]) -> list[Piece]:
        """The pieces of `events`, in order. Usage is held back to `end`: some servers send it with every chunk."""
        pieces: list[Piece] = []
        decode = self._decode
        for event in events:
            try:
                chunk = decode(event)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                mended = self._mended(event)
                if mended is None:
                    if self._is_over(event):
                        break
                    continue
                chunk, decode = mended, self._decode
            if chunk.error is not None or chunk.object == "error":
                self.error = to_model_error(parse_error(event), self._model)
                break
            choices = chunk.choices
            if choices:
                choice = choices[0]
                if choice.index or len(choices) > 1:
                    self._choices(choices, pieces)
                else:
                    self._choice(choice, pieces)
            if chunk.usage is not None:
                self._usage = _usage_of(chunk.usage)
        return pieces

    def end(self) -> list[Piece]:
        """The stream is over: what was held back. An answer that lacks its end is `error`."""
        if self.error is not None:
            return []
        pieces: list[Piece] = []
        if not self.finished:
            if not self.done:
                self.error = TransientError(ErrorCode.SERVER_ERROR, "The upstream's answer was cut off.")
                return []
            self._finish("stop", pieces)
        if self._thoughts:
            pieces.append(ReasoningPiece(self._thoughts))
        if self._usage is not None:
            pieces.append(self._usage)
        return pieces

    def _mended(self, event: bytes) -> _Chunk | None:
        """The chunk whose text is no valid Unicode; None for what is no chunk. From then on all go this way."""
        if self._joiner is not None:
            return None
        joiner = SurrogateJoiner()
        try:
            chunk = _decode_mended(joiner, event)
        except (msgspec.DecodeError, RecursionError):
            return None
        self._joiner = joiner
        self._decode = partial(_decode_mended, joiner)
        return chunk

    def _is_over(self, event: bytes) -> bool:
        """What is no chunk: the end mark, nothing at all, or an error."""
        text = event.strip()
        if not text:
            return False
        if text == _DONE:
            self.done = True
        else:
            self.error = ModelError(ErrorCode.SERVER_ERROR, "The upstream sent a chunk that is not valid.")
        return True

    def _choices(self, choices: Sequence[_Choice], pieces: list[Piece]) -> None:
        """One is asked for; should more come, that of index 0 is the answer, wherever in the list it stands."""
        for choice in choices:
            if not choice.index:
                self._choice(choice, pieces)

    def _choice(self, choice: _Choice, pieces: list[Piece]) -> None:
        said = choice.delta or choice.message
        if said is not None:
            content = said.content
            if content:
                text = content if isinstance(content, str) else _joined(content)
                if self._filter is not None:
                    self._filtered(text, self._filter, pieces)
                elif text:
                    pieces.append(text)
            if said.refusal is not None or said.tool_calls is not None or said.function_call is not None:
                self._tool_or_refusal(said, pieces)
        if choice.finish_reason is not None and not self.finished:
            self._finish(choice.finish_reason, pieces)

    def _filtered(self, text: str, thinking: ThinkingFilter, pieces: list[Piece]) -> None:
        """Until the answer has begun: what is no thought."""
        if text := thinking.feed(text):
            pieces.append(text)
        if thinking.is_too_long:
            text = f"The model's thoughts have more than {MAX_THOUGHTS} characters."
            self.error = ModelError(ErrorCode.SERVER_ERROR, text)
        if thinking.is_over:
            self._filter, self._thoughts = None, thinking.thoughts

    def _tool_or_refusal(self, said: _Delta, pieces: list[Piece]) -> None:
        if said.refusal:
            pieces.append(RefusalPiece(said.refusal))
        for call in said.tool_calls or ():
            function = call.function or _Function()
            pieces += self._calls.read(call.index, call.id, function.name, _arguments(function))
        if said.function_call is not None:
            pieces += self._calls.read(0, None, said.function_call.name, _arguments(said.function_call))

    def _finish(self, reason: str, pieces: list[Piece]) -> None:
        self.finished = True
        rest = self._joiner.end() if self._joiner is not None else ""
        if self._filter is not None:
            rest = self._filter.feed(rest) + self._filter.end()
            self._thoughts = self._filter.thoughts
        if rest:
            pieces.append(rest)
        pieces += self._calls.end()
        known = _FINISH.get(reason, FinishReason.STOP)
        if known is FinishReason.STOP and self._calls:
            # Some servers, and OpenAI itself under a named tool_choice, say `stop` after calls.
            known = FinishReason.TOOL_CALLS
        pieces.append(Finish(known))


def _decode_mended(joiner: SurrogateJoiner, event: bytes) -> _Chunk:
    try:
        return _decode(joiner.mend(event))
    except ValueError as error:  # msgspec's own is one too
        raise msgspec.DecodeError(str(error)) from None


def _joined(parts: list[_TextPart]) -> str:
    """The text of a content sent as parts; thinking and other kinds are left out."""
    return "".join(part.text for part in parts if part.text and part.type in (None, "text", "output_text"))


def _arguments(function: _Function) -> str:
    """Arguments as text; servers that send them as an object get them back as JSON."""
    raw = bytes(function.arguments)
    if raw.startswith(b'"'):
        return _decode_text(raw)
    return "" if raw in (b"null", b"") else raw.decode()


def _usage_of(usage: _Usage) -> Usage:
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    reasoning = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, cached or 0, reasoning or 0)
