"""Step 6 of a run: one model turn. A prompt goes in; deltas go out while it streams, calls and usage come back."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.replacement import replace
from threadmill.engine.ports.model import (
    ContextTooLong,
    FailedAttempts,
    Finish,
    FinishReason,
    ModelError,
    ModelRequest,
    Piece,
    ReasoningPiece,
    RefusalPiece,
    ToolCallPiece,
)
from threadmill.engine.prompt.conversation import message_text
from threadmill.engine.prompt.image_inlining import inline_images
from threadmill.engine.running.answer_references import AnswerReferences
from threadmill.engine.running.execution import Execution
from threadmill.engine.running.message_stream import MessageStreamer
from threadmill.engine.running.prompt_builder import Prompt, shorten_prompt
from threadmill.engine.running.run_recorder import ModelCall
from threadmill.engine.running.tool_call_stream import ToolCallStreamer

LEAST_PIECE = 16
"""Characters a piece of an answer counts at least: however short, it is an object in the log until the run ends."""

FULL_ANSWERS = 4
"""As many as all answers of a run may have together: the log of all its turns is in memory."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a turn ended and what it cost. What was said is in the execution's draft."""

    finish: FinishReason
    usage: Usage


async def run_turn(execution: Execution, prompt: Prompt) -> Turn:
    """Ask the model and stream its answer. A prompt too long for it is shortened and asked again (behaviour.md 1.8)."""
    execution.state = replace(execution.state, run=replace(execution.run, turns=execution.run.turns + 1))
    while True:
        execution.draft.clear()
        try:
            return await _stream(execution, prompt)
        except ContextTooLong as error:
            retry = await shorten_prompt(execution, prompt)
            if retry is None:
                raise error from None
            prompt = retry
        except ModelError as error:
            execution.ports.metrics.upstream_error(error.code)
            raise


async def _stream(execution: Execution, prompt: Prompt) -> Turn:
    budget = execution.settings.prompt_pictures
    request = await execution.patiently(
        lambda: inline_images(execution.ports, execution.run.project, prompt.request, budget)
    )
    call = ModelCall(execution, len(request.messages), prompt.left_out)
    listener = _StreamHandler(execution, prompt.references, call)
    with call.noting_failure():
        try:
            await _consume_stream(execution, request, listener)
        finally:
            listener.message.flush()
        usage = await _usage_of(listener, execution, request)
    call.note_end(listener.finish, usage)
    execution.ports.metrics.tokens_used(usage)
    return Turn(listener.finish, usage)


async def _consume_stream(execution: Execution, request: ModelRequest, handler: "_StreamHandler") -> None:
    clock = execution.ports.clock
    asked: float | None = clock.monotonic()
    async with aclosing(execution.ports.model.stream(request)) as batches:
        async for batch in batches:
            if asked is not None:
                execution.ports.metrics.time_to_first_token(clock.monotonic() - asked)
                handler.call.note_first_piece()
                asked = None
            await handler.handle(batch)
    await handler.end_turn()


async def _usage_of(listener: "_StreamHandler", execution: Execution, request: ModelRequest) -> Usage:
    """The upstream's usage, with the hidden thoughts where it does not count them itself; else our own count."""
    if listener.usage is not None and (listener.usage.reasoning_tokens or not listener.thoughts):
        return listener.usage
    reasoning = await asyncio.to_thread(execution.ports.tokens.count, listener.thoughts, request.model)
    if listener.usage is not None:
        return replace(listener.usage, reasoning_tokens=min(reasoning, listener.usage.completion_tokens))
    return await asyncio.to_thread(_estimate_usage, execution, request) + Usage(
        completion_tokens=reasoning, reasoning_tokens=reasoning
    )


def _estimate_usage(execution: Execution, request: ModelRequest) -> Usage:
    """Usage by our own count, for upstreams that send none."""
    draft, told = execution.draft, [message_text(message) for message in request.messages]
    said = "".join([*draft.text, *draft.refusal, *(call.raw_text for call in draft.calls)])
    *prompt, completion = execution.ports.tokens.count_each([*told, said], request.model)
    return Usage(prompt_tokens=sum(prompt), completion_tokens=completion)


class _StreamHandler:
    """Hands each piece to the streamer of its kind: text to the message's, calls to the tool calls'."""

    def __init__(self, execution: Execution, references: AnswerReferences, call: ModelCall) -> None:
        self.call: ModelCall = call
        self.message: MessageStreamer = MessageStreamer(execution, references)
        self.calls: ToolCallStreamer = ToolCallStreamer(execution, references)
        self.finish: FinishReason = FinishReason.STOP
        self.usage: Usage | None = None
        self.thoughts: str = ""
        self._execution: Execution = execution
        self._left: int = execution.settings.max_answer

    async def handle(self, batch: Sequence[Piece]) -> None:
        """One network read's pieces: text is joined into one delta, the rest is taken one by one.

        Raises ModelError when the answer is longer than a run may hold: the log and the draft are in memory.
        """
        # Usage comes last, when nothing more is waited for.
        self._execution.ends_at_once = bool(batch) and type(batch[-1]) is Usage
        texts: list[str] = []
        for piece in batch:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            if texts:
                await self._write_text(texts)
                texts = []
            await self._handle_piece(piece)
        if texts:
            await self._write_text(texts)
        if self._execution.persists_now():
            self._execution.persist_draft()

    def _count(self, characters: int, pieces: int = 1) -> None:
        execution, most = self._execution, self._execution.settings.max_answer
        size = max(characters, pieces * LEAST_PIECE)
        self._left -= size
        execution.said += size
        if self._left < 0:
            raise ModelError(ErrorCode.SERVER_ERROR, f"The model's answer has more than {most} characters.")
        if execution.said > most * FULL_ANSWERS:
            text = f"The model's answers in this run have more than {most * FULL_ANSWERS} characters together."
            raise ModelError(ErrorCode.SERVER_ERROR, text)

    async def _write_text(self, texts: list[str]) -> None:
        self._count(sum(map(len, texts)), len(texts))
        # Text behind the first call of a turn has no place in the API's order of steps and is left out.
        if not self.calls:
            await self.message.write_text(texts)

    async def _handle_piece(
        self, piece: ToolCallPiece | RefusalPiece | ReasoningPiece | FailedAttempts | Finish | Usage
    ) -> None:
        match piece:
            case ToolCallPiece():
                self._count(len(piece.arguments))
                self.message.flush()
                await self.calls.add_piece(piece)
            case RefusalPiece(text):
                self._count(len(text))
                await self.message.write_refusal(text)
            case ReasoningPiece(text):
                self.thoughts = text
            case FailedAttempts(reasons):
                self.call.failed_attempts = reasons
            case Finish(reason):
                self.finish = reason
            case _:
                self.usage = piece

    async def end_turn(self) -> None:
        """The model is done."""
        if self.calls:
            self.calls.finish()
        elif not self.message.is_open:
            await self.message.write_empty()
