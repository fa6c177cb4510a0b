"""What an upstream sends, as typed structs, and its translation into the engine's pieces.

Only the members we act on are named; msgspec skips the rest, so unknown members of any server do no harm. Numbers sent
as strings, missing members and nulls are taken as they come: compatible servers differ in exactly those.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from threadmill.adapters.models.upstream.upstream_error import TransientError, parse_error, to_model_error
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.engine.ports.model import CallPiece, Finish, FinishReason, ModelError, Piece, RefusalPiece


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

    An error inside the answer, or what is no chunk, becomes `error`; nothing behind it is read.
    """

    __slots__ = ("_indexes", "_last", "_model", "_usage", "done", "error", "finished")

    def __init__(self, model: str) -> None:
        self.error: ModelError | None = None
        self._model: str = model
        self.done: bool = False
        self.finished: bool = False
        self._usage: Usage | None = None
        self._indexes: dict[str, int] = {}
        self._last: int = -1

    def read(self, events: Sequence[bytes]) -> list[Piece]:
        """The pieces of `events`, in order. Usage is held back to `end`: some servers send it with every chunk."""
        pieces: list[Piece] = []
        for event in events:
            try:
                chunk = _decode(event)
            except (msgspec.DecodeError, UnicodeDecodeError):
                if self._is_over(event):
                    break
                continue
            if chunk.error is not None or chunk.object == "error":
                self.error = to_model_error(parse_error(event), self._model)
                break
            if chunk.choices:
                self._choice(chunk.choices[0], pieces)
            if chunk.usage is not None:
                self._usage = _usage_of(chunk.usage)
        return pieces

    def end(self) -> list[Piece]:
        """The stream is over: what was held back. An answer that lacks its end is `error`."""
        if self.error is not None:
            return []
        if not (self.finished or self.done):
            self.error = TransientError(ErrorCode.SERVER_ERROR, "The upstream's answer was cut off.")
            return []
        pieces: list[Piece] = [] if self.finished else [Finish(FinishReason.STOP)]
        if self._usage is not None:
            pieces.append(self._usage)
        return pieces

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

    def _choice(self, choice: _Choice, pieces: list[Piece]) -> None:
        if choice.index:
            return
        said = choice.delta or choice.message
        if said is not None:
            if said.content and (text := said.content if isinstance(said.content, str) else _joined(said.content)):
                pieces.append(text)
            if said.refusal is not None or said.tool_calls is not None or said.function_call is not None:
                self._tool_or_refusal(said, pieces)
        if choice.finish_reason is not None and not self.finished:
            self._finish(choice.finish_reason, pieces)

    def _tool_or_refusal(self, said: _Delta, pieces: list[Piece]) -> None:
        if said.refusal:
            pieces.append(RefusalPiece(said.refusal))
        pieces.extend(map(self._call, said.tool_calls or ()))
        if said.function_call is not None:
            self._last = 0
            pieces.append(CallPiece(0, None, said.function_call.name, _arguments(said.function_call)))

    def _call(self, call: _Call) -> CallPiece:
        function = call.function or _Function()
        index = self._index(call) if call.index is None else call.index
        self._last = index
        return CallPiece(index, call.id or None, function.name or None, _arguments(function))

    def _index(self, call: _Call) -> int:
        """Where an upstream numbers nothing: a known id continues its call, a new id or name begins one."""
        if call.id and call.id in self._indexes:
            return self._indexes[call.id]
        begins = bool(call.id) or bool(call.function and call.function.name) or self._last < 0
        index = self._last + 1 if begins else self._last
        if call.id:
            self._indexes[call.id] = index
        return index

    def _finish(self, reason: str, pieces: list[Piece]) -> None:
        self.finished = True
        known = _FINISH.get(reason, FinishReason.STOP)
        if known is FinishReason.STOP and self._last >= 0:
            # Some servers, and OpenAI itself under a named tool_choice, say `stop` after calls.
            known = FinishReason.TOOL_CALLS
        pieces.append(Finish(known))


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
