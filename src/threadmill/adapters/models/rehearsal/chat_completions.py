"""`POST /v1/chat/completions` answered by the built-in model, streamed or whole, so that a whole app is tried offline."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from threadmill.adapters.models.rehearsal.chat_body import ChatBody, read_chat, to_model_request
from threadmill.adapters.models.rehearsal.model import REHEARSAL, Rehearsal
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.engine.ports.model import (
    ContextTooLong,
    Finish,
    ModelError,
    ModelRequest,
    Piece,
    RefusalPiece,
    ToolCallPiece,
)

_Json: TypeAlias = "None | bool | int | float | str | Sequence[_Json] | dict[str, _Json]"
_Object: TypeAlias = "dict[str, _Json]"

CREATED = 0
"""No clock: the same question has the same answer, to the byte."""

ID = "chatcmpl-rehearsal"
LARGE_BODY = 64 * 1024
"""Bytes from which a body is read in a thread: no stream of others waits for it."""

EVENTS, JSON = "text/event-stream; charset=utf-8", "application/json"

_encode = msgspec.json.Encoder().encode


async def answer_chat(model: Rehearsal, body: bytes) -> tuple[int, str, AsyncGenerator[bytes]]:
    """Status, content type and body. Raises InvalidRequest for what is no chat.

    A failure the script asks for behind its first words breaks a stream off with an error event, as upstreams do.
    """
    chat, request = await asyncio.to_thread(_read, body) if len(body) > LARGE_BODY else _read(body)
    stream = model.stream(request)
    try:
        first = await anext(stream)
        if chat.stream:
            return 200, EVENTS, _events(chat, first, stream)
        whole = _Whole()
        whole.read(first)
        async with aclosing(stream) as batches:
            async for batch in batches:
                whole.read(batch)
    except ModelError as error:
        return _status(error), JSON, _one(_encode(_failure(error)))
    return 200, JSON, _one(_encode(whole.json()))


def _read(body: bytes) -> tuple[ChatBody, ModelRequest]:
    chat = read_chat(body)
    return chat, to_model_request(chat)


async def _events(
    chat: ChatBody, first: Sequence[Piece], stream: AsyncGenerator[Sequence[Piece]]
) -> AsyncGenerator[bytes]:
    """One write for a batch of pieces."""
    with_usage = bool(chat.stream_options and chat.stream_options.include_usage)
    try:
        yield _event(_chunk({"role": "assistant", "content": ""})) + _batch(first, with_usage=with_usage)
        async with aclosing(stream) as batches:
            async for batch in batches:
                yield _batch(batch, with_usage=with_usage)
    except ModelError as error:
        yield _event(_failure(error))
        return
    yield b"data: [DONE]\n\n"


def _batch(pieces: Sequence[Piece], *, with_usage: bool) -> bytes:
    events: list[bytes] = []
    for piece in pieces:
        match piece:
            case str():
                events.append(_event(_chunk({"content": piece})))
            case RefusalPiece(text):
                events.append(_event(_chunk({"refusal": text})))
            case ToolCallPiece():
                events.append(_event(_chunk({"tool_calls": [_call(piece)]})))
            case Finish(reason):
                events.append(_event(_chunk({}, reason.value)))
            case Usage() if with_usage:
                events.append(_event({**_chunk({}), "choices": [], "usage": _usage(piece)}))
            case _:
                pass
    return b"".join(events)


def _event(body: _Object) -> bytes:
    return b"data: " + _encode(body) + b"\n\n"


def _chunk(delta: _Object, finish: str | None = None) -> _Object:
    choice: _Object = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": REHEARSAL, "choices": [choice]}


def _call(piece: ToolCallPiece) -> _Object:
    function: _Object = {"arguments": piece.arguments}
    if piece.name is None:
        return {"index": piece.index, "function": function}
    return {"index": piece.index, "id": _id(piece), "type": "function", "function": {"name": piece.name, **function}}


def _id(piece: ToolCallPiece) -> str:
    return piece.id or f"call_{piece.index}"


def _usage(usage: Usage) -> _Object:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


@dataclass(slots=True)
class _Whole:
    """An answer that is not streamed, while it grows."""

    text: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    calls: dict[int, tuple[ToolCallPiece, list[str]]] = field(
        default_factory=dict[int, tuple[ToolCallPiece, list[str]]]
    )
    finish: str = "stop"
    usage: Usage = field(default_factory=Usage)

    def read(self, pieces: Sequence[Piece]) -> None:
        """Take a batch."""
        for piece in pieces:
            match piece:
                case str():
                    self.text.append(piece)
                case RefusalPiece(text):
                    self.refusal.append(text)
                case ToolCallPiece():
                    self.calls.setdefault(piece.index, (piece, []))[1].append(piece.arguments)
                case Finish(reason):
                    self.finish = reason.value
                case Usage():
                    self.usage = piece
                case _:
                    pass

    def json(self) -> _Object:
        """The completion."""
        message: _Object = {
            "role": "assistant",
            "content": "".join(self.text) if self.text or not (self.calls or self.refusal) else None,
            "refusal": "".join(self.refusal) or None,
        }
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": _id(first),
                    "type": "function",
                    "function": {"name": first.name or "", "arguments": "".join(arguments)},
                }
                for first, arguments in self.calls.values()
            ]
        choice: _Object = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}
        head: _Object = {"id": ID, "object": "chat.completion", "created": CREATED, "model": REHEARSAL}
        return {**head, "choices": [choice], "usage": _usage(self.usage)}


def _status(error: ModelError) -> int:
    if isinstance(error, ContextTooLong) or error.code is ErrorCode.INVALID_PROMPT:
        return 400
    return 429 if error.code is ErrorCode.RATE_LIMIT_EXCEEDED else 500


def _failure(error: ModelError) -> _Object:
    kind = "server_error" if _status(error) == 500 else "invalid_request_error"
    code = "context_length_exceeded" if isinstance(error, ContextTooLong) else error.code.value
    return {"error": {"message": error.message, "type": kind, "param": None, "code": code}}


async def _one(body: bytes) -> AsyncGenerator[bytes]:
    yield body
