"""What a model behind its upstream can do, tried out: one streamed answer and one function call, told in plain words."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from threadmill.adapters.models.router import EVERYTHING, ModelRouter, UpstreamRoute, is_pattern
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.refusals import MemberRefused
from threadmill.domain.message import TextPart
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.tool import FunctionTool
from threadmill.engine.ports.model import (
    Finish,
    FinishReason,
    ModelError,
    ModelRequest,
    Piece,
    PromptMessage,
    PromptRole,
    ReasoningPiece,
    ToolCallPiece,
)

MAX_TOKENS = 1_024
"""Of an answer: room for a model's thoughts."""

SHOWN = 60
"""Characters of an answer that are shown."""

LISTED = 12
"""Models of a list that are shown."""

THOUGHT_TAGS = ("<think>", "<thinking>", "<thought>", "<reasoning>")

TOOL = FunctionTool(
    "get_weather",
    "The weather of a city.",
    '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}',
)


class Verdict(StrEnum):
    """What a finding means. A note decides nothing."""

    OK = "ok"
    FAILED = "failed"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what was found."""

    verdict: Verdict
    text: str


@dataclass(slots=True)
class _Answer:
    """One answer as it came: when its first pieces came and when its last, and in how many reads of the network."""

    pieces: list[Piece] = field(default_factory=list[Piece])
    batches: int = 0
    first: float = 0.0
    last: float = 0.0

    @property
    def text(self) -> str:
        """The answer's words."""
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    @property
    def is_cut(self) -> bool:
        """Whether it was at its end before it was done."""
        return any(isinstance(piece, Finish) and piece.reason is FinishReason.LENGTH for piece in self.pieces)


async def check_model(route: UpstreamRoute, model: str | None, seconds: float) -> AsyncGenerator[Finding]:
    """Findings as they are made; nothing more is asked behind a failure that all else would share.

    No answer is waited for longer than `seconds`. `model` is the name the upstream knows; without one its list is told.
    """
    upstream = route.upstream
    try:
        names = [info.id for info in await upstream.list()]
        if model is None:
            yield Finding(
                Verdict.FAILED, f"which model? It lists {_some(names)}; threadmill models test MODEL asks one"
            )
            return
        yield _listing(names, model)
        answer = await _ask(upstream, _request(model, "Say hello in one short sentence."), seconds)
    except ModelError as error:
        yield Finding(Verdict.FAILED, error.message)
        return
    for finding in (*_judge_text(answer), *_notes(upstream, model, answer)):
        yield finding
    yield await _call(upstream, model, seconds)


async def models_to_check(router: ModelRouter) -> Sequence[tuple[UpstreamRoute, str | None]]:
    """Each upstream with the model an app would meet there: what an alias means, else the one it is made for, else the
    only one it lists. None where that is not to be known.
    """
    await router.learn_names()
    return [(route, _likely_model(router, route)) for route in router.routes]


def _likely_model(router: ModelRouter, route: UpstreamRoute) -> str | None:
    meant = (name for name in router.aliased if router.serves(route, name))
    named = (pattern for pattern in route.patterns if not is_pattern(pattern) and pattern != EVERYTHING)
    listed = route.upstream.listed
    only = iter(listed if len(listed) == 1 else ())
    return next(meant, None) or next(named, None) or next(only, None)


def _listing(names: Sequence[str], model: str) -> Finding:
    if model in names:
        return Finding(Verdict.OK, f"reached; the key is taken; this model is one of {len(names)} on its list")
    if names:
        return Finding(Verdict.NOTE, f"reached; this model is not on its list: {_some(names)}")
    return Finding(Verdict.NOTE, "reached; it lists no models")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "") or "none"


def _request(model: str, text: str, tools: tuple[FunctionTool, ...] = ()) -> ModelRequest:
    message = PromptMessage(PromptRole.USER, (TextPart(text),))
    return ModelRequest(model, (message,), tools, max_completion_tokens=MAX_TOKENS)


async def _ask(upstream: OpenAICompatible, request: ModelRequest, seconds: float) -> _Answer:
    """The whole answer. Raises ModelError, also when it takes too long."""
    answer, began = _Answer(), time.monotonic()
    try:
        async with asyncio.timeout(seconds), aclosing(upstream.stream(request)) as batches:
            async for batch in batches:
                answer.last = time.monotonic() - began
                answer.first = answer.first or answer.last
                answer.batches += 1
                answer.pieces += batch
    except TimeoutError:
        came = "began and did not end" if answer.batches else "did not come"
        text = f"The answer {came} within {seconds:g} seconds; --timeout waits longer."
        raise ModelError(ErrorCode.SERVER_ERROR, text) from None
    return answer


def _judge_text(answer: _Answer) -> Sequence[Finding]:
    if not (text := answer.text.strip()):
        why = f"{MAX_TOKENS:,} tokens were not enough for it" if answer.is_cut else "the answer was empty"
        return [Finding(Verdict.FAILED, f"no text: {why}")]
    times = f"first piece after {answer.first:.2f} s, all of it after {answer.last:.2f} s"
    found = [Finding(Verdict.OK, f"a streamed answer: “{_shortened(text)}” ({times})")]
    if answer.batches == 1 and len(text) > SHOWN:
        found.append(Finding(Verdict.NOTE, "the answer came all at once: something in between holds streams back"))
    return found


def _notes(upstream: OpenAICompatible, model: str, answer: _Answer) -> Sequence[Finding]:
    """What is dealt with by itself, and what of it a setting would change."""
    notes = [*upstream.learned(model)]
    if not any(isinstance(piece, Usage) for piece in answer.pieces):
        notes.append("it does not say how many tokens were used; they are counted here")
    if any(isinstance(piece, ReasoningPiece) for piece in answer.pieces):
        notes.append('thoughts came in tags in front of the answer and are hidden (reasoning = "keep" shows them)')
    if answer.text.lstrip().startswith(THOUGHT_TAGS):
        notes.append('thoughts stand in the answer (reasoning = "hide" takes them out)')
    return [Finding(Verdict.NOTE, text) for text in notes]


async def _call(upstream: OpenAICompatible, model: str, seconds: float) -> Finding:
    request = _request(model, "What is the weather in Paris? Call get_weather to find out.", (TOOL,))
    try:
        answer = await _ask(upstream, request, seconds)
    except MemberRefused as error:
        return Finding(Verdict.FAILED, f"function calls are not supported: {error.message}")
    except ModelError as error:
        return Finding(Verdict.FAILED, f"no function call: {error.message}")
    return _judge_call(answer)


def _judge_call(answer: _Answer) -> Finding:
    calls = [piece for piece in answer.pieces if isinstance(piece, ToolCallPiece)]
    if not calls:
        return Finding(Verdict.FAILED, f"no function call: {_why_no_call(answer)}")
    name = "".join(call.name or "" for call in calls if call.index == calls[0].index)
    arguments = "".join(call.arguments for call in calls if call.index == calls[0].index)
    if name != TOOL.name:
        return Finding(Verdict.FAILED, f"the model called {_shortened(name)}, a function it was not offered")
    if not _is_object(arguments):
        return Finding(
            Verdict.FAILED, f"a function call whose arguments are no JSON object: {_shortened(arguments) or 'nothing'}"
        )
    return Finding(Verdict.OK, f"a function call: {name} {_shortened(arguments)}")


def _why_no_call(answer: _Answer) -> str:
    if TOOL.name in answer.text and "{" in answer.text:
        return (
            "the model wrote it as text, and its server did not read it as one"
            " (vLLM: --enable-auto-tool-choice and --tool-call-parser; llama.cpp: --jinja)"
        )
    if answer.is_cut and not answer.text.strip():
        return f"{MAX_TOKENS:,} tokens were not enough for it"
    said = f"the model answered “{_shortened(answer.text)}” in its place" if answer.text.strip() else "nothing came"
    return f"{said}; assistants with tools need another model"


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text or "null"), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
