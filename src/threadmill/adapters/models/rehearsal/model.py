"""The built-in model `rehearsal`: offline and deterministic, it plays a script that stands in the conversation.

For trying things and for tests without an upstream. The language is `script.py`, finding the place in it `state.py`;
here it is played: paced, counted, cut at the token limit.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import NoReturn

from threadmill.adapters.models.rehearsal.script import BadScript, Call, Directive, Fail, Refuse, Say, ScriptTurn, Slow
from threadmill.adapters.models.rehearsal.state import next_turn
from threadmill.domain.message import RefusalPart, TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.engine.ports.model import (
    ContextTooLong,
    Finish,
    FinishReason,
    ModelError,
    ModelInfo,
    ModelRequest,
    Piece,
    PromptMessage,
    RefusalPiece,
    ToolCallPiece,
)
from threadmill.engine.ports.tokens import Tokens

REHEARSAL = "rehearsal"
WINDOW = 128_000
"""Tokens; long enough for anything but a rehearsal of truncation."""

BATCH = 32
"""Pieces handed over at once while nothing slows the script."""

FRAGMENT = 12
"""Characters of a call's arguments in one piece."""

MESSAGE_TOKENS = 4
"""Tokens reckoned for a message besides its text."""

_WORDS = re.compile(r"\s*\S+|\s+\Z")


class Rehearsal:
    """The Model port without a model. `sleep`, in seconds, is what `slow:` waits with."""

    def __init__(self, tokens: Tokens, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tokens: Tokens = tokens
        self._sleep: Callable[[float], Awaitable[None]] = sleep

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port. Raises ModelError for a script that cannot be played; its message names the line."""
        try:
            # In a thread: a script may have tens of thousands of lines.
            player = await asyncio.to_thread(self._player, request)
        except BadScript as error:
            raise ModelError(ErrorCode.INVALID_PROMPT, str(error)) from None
        batch: list[Piece] = []
        for event in player.events():
            if not isinstance(event, Slow | Fail):
                batch.append(event)
            if batch and (isinstance(event, Slow | Fail) or len(batch) >= BATCH):
                yield batch
                batch = []
                # A long script must not keep the other runs of the process waiting.
                await self._sleep(0)
            if isinstance(event, Slow):
                await self._sleep(event.seconds)
            elif isinstance(event, Fail):
                await _fail(event)
        yield [*batch, *player.end()]

    def _player(self, request: ModelRequest) -> "_TurnPlayer":
        player = _TurnPlayer(next_turn(request), request)
        player.count(self._tokens)
        return player

    async def list(self) -> Sequence[ModelInfo]:
        """The one model."""
        return (self.get_info(REHEARSAL),)

    def get_info(self, model: str) -> ModelInfo:
        """The same for every name."""
        return ModelInfo(model, 0, "threadmill", WINDOW, REHEARSAL)

    async def ready(self) -> None:
        """Always."""


class _TurnPlayer:
    """One turn as pieces, cut at the token limit. `count` comes first."""

    def __init__(self, turn: ScriptTurn, request: ModelRequest) -> None:
        self._turn: ScriptTurn = turn
        self._request: ModelRequest = request
        self._counts: dict[str, int] = {}
        self._prompt: int = 0
        self._spent: int = 0
        self._calls: int = 0
        self._is_cut: bool = False

    def count(self, tokens: Tokens) -> None:
        """The tokens of the prompt and of every piece. Blocks."""
        said = {text for directive in self._turn.directives for text in _texts(directive)}
        told = [_text(message) for message in self._request.messages]
        counts = tokens.count_each([*said, *told], self._request.model)
        self._counts = dict(zip(said, counts, strict=False))
        self._prompt = sum(counts[len(said) :]) + MESSAGE_TOKENS * len(told)

    def events(self) -> Iterator[Piece | Slow | Fail]:
        """Pieces, each behind its pause; a failure where the script wants one. Ends early at the token limit."""
        pause = Slow(0)
        for directive in self._turn.directives:
            if isinstance(directive, Slow):
                pause = directive
            elif isinstance(directive, Fail):
                yield directive
            else:
                for piece, text in self._pieces(directive):
                    if not self._within_limit(text):
                        return
                    if pause.seconds:
                        yield pause
                    yield piece

    def end(self) -> Sequence[Piece]:
        """Why it stopped, and the usage."""
        return Finish(self._reason()), Usage(self._prompt, self._spent)

    def _reason(self) -> FinishReason:
        if self._is_cut:
            return FinishReason.LENGTH
        if self._turn.finish is not None:
            return FinishReason(self._turn.finish)
        return FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP

    def _within_limit(self, text: str) -> bool:
        limit = self._request.max_completion_tokens
        spent = self._spent + self._counts[text]
        self._is_cut = limit is not None and spent > limit
        if not self._is_cut:
            self._spent = spent
        return not self._is_cut

    def _pieces(self, directive: Say | Refuse | Call) -> Iterator[tuple[Piece, str]]:
        """Pieces with the text they cost."""
        match directive:
            case Say():
                for turn in range(directive.times):
                    for word in _said(directive, turn):
                        yield word, word
            case Refuse():
                for word in _words(directive.text):
                    yield RefusalPiece(word), word
            case Call():
                for _ in range(directive.times):
                    yield from self._call(directive)

    def _call(self, directive: Call) -> Iterator[tuple[Piece, str]]:
        """No id is given: the engine's own are unique, ours would repeat with every run of the script."""
        index, self._calls = self._calls, self._calls + 1
        yield ToolCallPiece(index, None, directive.name), directive.name
        for fragment in _fragments(directive):
            yield ToolCallPiece(index, arguments=fragment), fragment


def _texts(directive: Directive) -> Iterator[str]:
    """Every text that a directive costs tokens for, at least once."""
    match directive:
        case Say():
            for turn in range(min(directive.times, 2)):
                yield from _said(directive, turn)
        case Refuse():
            yield from _words(directive.text)
        case Call():
            yield directive.name
            yield from _fragments(directive)
        case Slow() | Fail():
            pass


def _said(directive: Say, turn: int) -> Iterator[str]:
    return _words(f" {directive.text}" if turn else directive.text)


def _fragments(directive: Call) -> Iterator[str]:
    return (directive.arguments[at : at + FRAGMENT] for at in range(0, len(directive.arguments), FRAGMENT))


def _words(text: str) -> Iterator[str]:
    """One by one: a list of a long text's words would be made in one breath."""
    return (match[0] for match in _WORDS.finditer(text))


async def _fail(directive: Fail) -> NoReturn:
    match directive.how:
        case "rate_limit":
            raise ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, "Rate limit reached for rehearsal, as its script asked.")
        case "context":
            raise ContextTooLong("The prompt is too long for rehearsal, as its script asked.")
        case "cut":
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream's answer was cut off.")
        case "stall":
            await asyncio.Event().wait()
        case _:
            pass
    raise ModelError(ErrorCode.SERVER_ERROR, "The rehearsal failed, as its script asked.")


def _text(message: PromptMessage) -> str:
    texts = [part.value for part in message.parts if isinstance(part, TextPart)]
    texts += [part.refusal for part in message.parts if isinstance(part, RefusalPart)]
    return "\n".join([*texts, *(call.name + call.arguments for call in message.tool_calls)])
