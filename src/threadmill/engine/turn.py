"""Step 6 of a run: one model turn. A prompt goes in; deltas go out while it streams, calls and usage come back.

The hot path is `_say`: per network read one list of strings, one publish; no commit, no task, no validation.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from threadmill.domain import command as c
from threadmill.domain.decide import open_message, open_step
from threadmill.domain.event import ArgumentsDelta, CallOpened, RefusalDelta, TextDelta
from threadmill.domain.ids import CallId
from threadmill.domain.outcome import Usage
from threadmill.domain.run_step import RunStepType
from threadmill.engine.draft import CallDraft
from threadmill.engine.execution import Execution
from threadmill.engine.pictures import with_pictures
from threadmill.engine.ports.model import (
    CallPiece,
    ContextTooLong,
    Finish,
    FinishReason,
    ModelError,
    ModelRequest,
    Piece,
    RefusalPiece,
)
from threadmill.engine.prompt import text_of
from threadmill.engine.prompting import Prompt, shorter


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
            return await _stream(execution, prompt.request)
        except ContextTooLong as error:
            retry = shorter(execution, prompt)
            if retry is None:
                raise error from None
            prompt = retry
        except ModelError as error:
            execution.ports.metrics.upstream_failed(error.code)
            raise


async def _stream(execution: Execution, request: ModelRequest) -> Turn:
    request = await with_pictures(execution.ports, execution.run.project, request)
    listener = _Listener(execution)
    clock = execution.ports.clock
    asked: float | None = clock.monotonic()
    async with aclosing(execution.ports.model.stream(request)) as batches:
        async for batch in batches:
            if asked is not None:
                execution.ports.metrics.first_piece(clock.monotonic() - asked)
                asked = None
            await listener.hear(batch)
    await listener.end()
    usage = listener.usage or _counted(execution, request)
    execution.ports.metrics.tokens_spent(usage)
    return Turn(listener.finish, usage)


def _counted(execution: Execution, request: ModelRequest) -> Usage:
    """Usage by our own count, for upstreams that send none."""
    count, draft = execution.ports.tokens.count, execution.draft
    said = "".join([*draft.text, *draft.refusal, *(call.name + call.arguments for call in draft.calls)])
    prompt = sum(count(text_of(message), request.model) for message in request.messages)
    return Usage(prompt_tokens=prompt, completion_tokens=count(said, request.model))


class _Listener:
    """Turns pieces into draft, deltas and the commits that open and close parts."""

    def __init__(self, execution: Execution) -> None:
        self.execution: Execution = execution
        self.finish: FinishReason = FinishReason.STOP
        self.usage: Usage | None = None
        self._calls: dict[int, CallDraft] = {}
        self._blank: list[str] = []

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
        if self.execution.persists_now():
            await self.execution.persist_draft()

    async def _hear_other(self, piece: CallPiece | RefusalPiece | Finish | Usage) -> None:
        match piece:
            case CallPiece():
                await self._call(piece)
            case RefusalPiece(text):
                await self._refuse(text)
            case Finish(reason):
                self.finish = reason
            case _:
                self.usage = piece

    async def end(self) -> None:
        """The model is done: an answer of nothing is an empty text, so that every client finds content[0]."""
        execution = self.execution
        if self._calls:
            await self._end_arguments()
        elif execution.progress.message is None:
            await self._open_message()
            self._publish_text(self._blank or [""], first=True)

    async def _say(self, texts: list[str]) -> None:
        draft = self.execution.draft
        if draft.refusal:
            await self._refuse("".join(texts))
        elif self.execution.progress.message is not None:
            self._publish_text(texts, first=not draft.text)
        elif not self._calls:
            await self._begin_text(texts)
        # Text behind the first call of a turn has no place in the API's order of steps and is left out.

    async def _begin_text(self, texts: list[str]) -> None:
        # Upstreams send empty or blank text ahead of tool calls: no message for that until a word follows.
        self._blank.extend(text for text in texts if text)
        if any(text and not text.isspace() for text in texts):
            await self._open_message()
            self._publish_text(self._blank, first=True)

    async def _open_message(self) -> None:
        ids = self.execution.ports.ids
        await self.execution.apply(c.OpenMessage(ids.step(), ids.message()))

    def _publish_text(self, texts: list[str], *, first: bool) -> None:
        execution = self.execution
        message = open_message(execution.progress)
        execution.draft.text.extend(texts)
        execution.ports.log.publish_delta(execution.run.id, TextDelta(message, 0, tuple(texts), first))

    async def _refuse(self, text: str) -> None:
        execution = self.execution
        if execution.progress.message is None:
            await self._open_message()
        execution.draft.refusal.append(text)
        delta = RefusalDelta(open_message(execution.progress), 1 if execution.draft.text else 0, (text,))
        execution.ports.log.publish_delta(execution.run.id, delta)

    async def _call(self, piece: CallPiece) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            call = await self._open_call(piece)
        if piece.arguments:
            self._grow(call, piece.arguments)

    async def _open_call(self, piece: CallPiece) -> CallDraft:
        execution = self.execution
        if not self._calls:
            await self._open_step()
        taken = {call.id for call in execution.draft.calls}
        given = CallId(piece.id) if piece.id else None
        # Upstreams lie about ids: one that is missing or was used is replaced, or outputs could not be told apart.
        call_id = execution.ports.ids.call() if given is None or given in taken else given
        call = CallDraft(call_id, piece.name or "")
        execution.draft.calls.append(call)
        self._calls[piece.index] = call
        step = open_step(execution.progress, RunStepType.TOOL_CALLS)
        delta = CallOpened(step, len(self._calls) - 1, call.id, call.name)
        execution.ports.log.publish_delta(execution.run.id, delta)
        return call

    async def _open_step(self) -> None:
        execution = self.execution
        opened = c.OpenToolCalls(execution.ports.ids.step())
        if execution.progress.message is None:
            await execution.apply(opened)
            return
        # The turn's usage is not known yet; it goes to the step of the calls, which ends the turn.
        await execution.apply(c.CloseMessage(execution.draft.content(), Usage()), opened)
        execution.draft.text.clear()
        execution.draft.refusal.clear()

    def _grow(self, call: CallDraft, arguments: str) -> None:
        execution = self.execution
        call.pieces.append(arguments)
        step, index = open_step(execution.progress, RunStepType.TOOL_CALLS), execution.draft.calls.index(call)
        execution.ports.log.publish_delta(execution.run.id, ArgumentsDelta(step, index, (arguments,)))

    async def _end_arguments(self) -> None:
        # A function without parameters is often called with nothing at all; clients parse the arguments as JSON.
        for call in self.execution.draft.calls:
            if not call.arguments.strip():
                self._grow(call, "{}")
