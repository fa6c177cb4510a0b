"""Requests and readings the model tests share."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.retry import RetryPolicy
from threadmill.adapters.models.upstream.settings import Timeouts, UpstreamSettings
from threadmill.domain.message import TextPart
from threadmill.engine.ports.model import Model, ModelRequest, Piece, PromptMessage, PromptRole

QUICK = Timeouts(connect=5, first_token=5, between_tokens=5, ready=2)


def user(text: str) -> PromptMessage:
    return PromptMessage(PromptRole.USER, (TextPart(text),))


def ask(text: str = "Hi", model: str = "gpt-4o") -> ModelRequest:
    return ModelRequest(model, (user(text),))


async def pieces_of(model: Model, request: ModelRequest | None = None) -> list[Piece]:
    return [piece async for batch in model.stream(request or ask()) for piece in batch]


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


class Naps:
    """A sleep that takes no time and remembers what was asked of it; chance is always at its most."""

    def __init__(self, now: float = 0.0) -> None:
        self.taken: list[float] = []
        self.now: float = now

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)

    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy(self.sleep, lambda: 1.0, lambda: self.now, lambda: self.now)


@asynccontextmanager
async def client(
    url: str, naps: Naps | None = None, *, api_key: str | None = None, timeouts: Timeouts = QUICK
) -> AsyncGenerator[OpenAICompatible]:
    settings = UpstreamSettings(url, api_key=api_key, timeouts=timeouts)
    model = OpenAICompatible(settings, retry_policy=(naps or Naps()).retry_policy())
    try:
        yield model
    finally:
        await model.aclose()
