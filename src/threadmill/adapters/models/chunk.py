"""A Chat Completions chunk, typed, and the pieces in it. Only what is used is declared; the rest is skipped unread."""

from collections.abc import Iterator

import msgspec

from threadmill.domain.outcome import Usage
from threadmill.engine.ports.model import CallPiece, Finish, FinishReason, Piece, RefusalPiece


class FunctionDelta(msgspec.Struct):
    """A function call's growth."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct):
    """A tool call's growth. Some upstreams leave out the index."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct):
    """What a choice gained; `message` of an answer that was not streamed has the same members."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None


class Choice(msgspec.Struct):
    """One choice; only the first is asked for."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    """Part of the prompt's tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Part of the completion's tokens."""

    reasoning_tokens: int | None = None


class UsageReport(msgspec.Struct):
    """Tokens, as the upstream counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(msgspec.Struct):
    """One event of the stream. `error` may be an object or a text: it is looked at only when there."""

    choices: list[Choice] | None = None
    usage: UsageReport | None = None
    error: msgspec.Raw = msgspec.Raw()


decode = msgspec.json.Decoder(Chunk).decode


class Calls:
    """Gives tool calls of upstreams that number them badly a number of ours, in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._last: int = -1

    def number(self, call: CallDelta) -> int:
        """The call's number: by its index, else by its id, else the one that grew last."""
        key: object = call.index if call.index is not None else call.id
        if key is None:
            self._last = max(self._last, 0)
            return self._last
        # An index used again with another id and a name is another call.
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self._numbers)
        self._last = known
        return known


def pieces(chunk: Chunk, calls: Calls) -> Iterator[Piece]:
    """The chunk's pieces, in the order a turn can use them."""
    if chunk.choices:
        choice = chunk.choices[0]
        delta = choice.delta or choice.message
        if delta is not None:
            yield from _said(delta, calls)
        if choice.finish_reason is not None:
            yield Finish(_finish(choice.finish_reason))
    if chunk.usage is not None and chunk.usage.prompt_tokens is not None:
        yield _usage(chunk.usage)


def _said(delta: Delta, calls: Calls) -> Iterator[Piece]:
    if delta.content:
        yield delta.content
    if delta.refusal:
        yield RefusalPiece(delta.refusal)
    for call in delta.tool_calls or ():
        function = call.function or FunctionDelta()
        yield CallPiece(calls.number(call), call.id, function.name, function.arguments or "")
    if delta.function_call is not None:
        yield CallPiece(0, None, delta.function_call.name, delta.function_call.arguments or "")


def _finish(reason: str) -> FinishReason:
    if reason == "function_call":
        return FinishReason.TOOL_CALLS
    try:
        return FinishReason(reason)
    except ValueError:
        return FinishReason.STOP


def _usage(report: UsageReport) -> Usage:
    prompt, completion = report.prompt_tokens_details, report.completion_tokens_details
    return Usage(
        report.prompt_tokens or 0,
        report.completion_tokens or 0,
        (prompt.cached_tokens or 0) if prompt else 0,
        (completion.reasoning_tokens or 0) if completion else 0,
    )
