"""Step 6 of a run: one model turn. A prompt goes in; deltas go out while it streams, calls and usage come back."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from threadmill.domain.outcome import Usage
from threadmill.engine.ports.model import (
    CallPiece,
    ContextTooLong,
    Finish,
    FinishReason,
    ModelError,
    ModelRequest,
    Piece,
    ReasoningPiece,
    RefusalPiece,
)
from threadmill.engine.prompt.conversation import text_of
from threadmill.engine.prompt.image_inlining import with_pictures
from threadmill.engine.running.answer_references import References
from threadmill.engine.running.execution import Execution
from threadmill.engine.running.message_stream import Speech
from threadmill.engine.running.prompt_builder import Prompt, shorter
from threadmill.engine.running.tool_call_stream import Calls


@dataclass(frozen=True, slots=True)
class Turn:
    """How a turn ended and what it cost. What was said is in the execution's draft."""

    finish: FinishReason
    usage: Usage


async def take_turn(execution: Execution, prompt: Prompt) -> Turn:
    """Ask the model and stream its answer. A prompt too long for it is shortened and asked again (behaviour.md 1.8)."""
    execution.progress = replace(execution.progress, run=replace(execution.run, turns=execution.run.turns + 1))
    while True:
        execution.draft.clear()
        try:
            return await _stream(execution, prompt)
        except ContextTooLong as error:
            retry = shorter(execution, prompt)
            if retry is None:
                raise error from None
            prompt = retry
        except ModelError as error:
            execution.ports.metrics.upstream_failed(error.code)
            raise


async def _stream(execution: Execution, prompt: Prompt) -> Turn:
    request = await with_pictures(execution.ports, execution.run.project, prompt.request)
    listener = _Listener(execution, prompt.references)
    try:
        await _listen(execution, request, listener)
    finally:
        listener.speech.close()
    usage = _usage_of(listener, execution, request)
    execution.ports.metrics.tokens_spent(usage)
    return Turn(listener.finish, usage)


async def _listen(execution: Execution, request: ModelRequest, listener: "_Listener") -> None:
    clock = execution.ports.clock
    asked: float | None = clock.monotonic()
    async with aclosing(execution.ports.model.stream(request)) as batches:
        async for batch in batches:
            if asked is not None:
                execution.ports.metrics.first_piece(clock.monotonic() - asked)
                asked = None
            await listener.hear(batch)
    await listener.end()


def _usage_of(listener: "_Listener", execution: Execution, request: ModelRequest) -> Usage:
    """The upstream's usage, with the hidden thoughts where it does not count them itself; else our own count."""
    if listener.usage is not None and (listener.usage.reasoning_tokens or not listener.thoughts):
        return listener.usage
    reasoning = execution.ports.tokens.count(listener.thoughts, request.model)
    if listener.usage is not None:
        return replace(listener.usage, reasoning_tokens=min(reasoning, listener.usage.completion_tokens))
    return _counted(execution, request) + Usage(completion_tokens=reasoning, reasoning_tokens=reasoning)


def _counted(execution: Execution, request: ModelRequest) -> Usage:
    """Usage by our own count, for upstreams that send none."""
    count, draft = execution.ports.tokens.count, execution.draft
    said = "".join([*draft.text, *draft.refusal, *(call.written for call in draft.calls)])
    prompt = sum(count(text_of(message), request.model) for message in request.messages)
    return Usage(prompt_tokens=prompt, completion_tokens=count(said, request.model))


class _Listener:
    """Hands pieces to who tells them: text to the speech, calls to the calls."""

    def __init__(self, execution: Execution, references: References) -> None:
        self.speech: Speech = Speech(execution, references)
        self.calls: Calls = Calls(execution, references)
        self.finish: FinishReason = FinishReason.STOP
        self.usage: Usage | None = None
        self.thoughts: str = ""
        self._execution: Execution = execution

    async def hear(self, batch: Sequence[Piece]) -> None:
        """One network read's pieces: text is joined into one delta, the rest is taken one by one."""
        texts: list[str] = []
        for piece in batch:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            if texts:
                await self._say(texts)
                texts = []
            await self._hear_other(piece)
        if texts:
            await self._say(texts)
        if self._execution.persists_now():
            await self._execution.persist_draft()

    async def _say(self, texts: list[str]) -> None:
        # Text behind the first call of a turn has no place in the API's order of steps and is left out.
        if not self.calls:
            await self.speech.say(texts)

    async def _hear_other(self, piece: CallPiece | RefusalPiece | ReasoningPiece | Finish | Usage) -> None:
        match piece:
            case CallPiece():
                self.speech.close()
                await self.calls.hear(piece)
            case RefusalPiece(text):
                await self.speech.refuse(text)
            case ReasoningPiece(text):
                self.thoughts = text
            case Finish(reason):
                self.finish = reason
            case _:
                self.usage = piece

    async def end(self) -> None:
        """The model is done."""
        if self.calls:
            self.calls.end()
        elif not self.speech.has_begun:
            await self.speech.say_nothing()
