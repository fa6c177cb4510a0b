"""One script for both colours of the Python SDK: what the synchronous client returns is awaited too.

Runs inside the environments of old SDKs: standard library and `openai` only. Names are `Any` on purpose, since the same
lines meet the types of four generations.
"""

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import openai

CALLBACKS = (
    "event", "run_step_created", "run_step_delta", "run_step_done", "tool_call_created", "tool_call_delta",
    "tool_call_done", "message_created", "message_delta", "message_done", "text_created", "text_delta", "text_done",
    "image_file_done", "exception", "timeout", "end",
)  # fmt: skip


async def got(value: Any) -> Any:
    """The answer, whether the client is synchronous or not."""
    return await value if inspect.isawaitable(value) else value


async def each(values: Any) -> AsyncIterator[Any]:
    """Iterate over what either client gives."""
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


@asynccontextmanager
async def opened(manager: Any) -> AsyncIterator[Any]:
    """Enter what either client gives."""
    if hasattr(manager, "__aenter__"):
        async with manager as entered:
            yield entered
    else:
        with manager as entered:
            yield entered


def now(work: Coroutine[Any, Any, Any]) -> Any:
    """The outcome of a coroutine that never waits, as all of the synchronous client's do."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a synchronous client waited")


class Handlers:
    """Event handlers of one colour that count their callbacks."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async

    def counting(self, on_event: Callable[[Any], Coroutine[Any, Any, None]] | None = None) -> tuple[Any, Counter[str]]:
        """A handler and its counts; `on_event` is called with each event too."""
        handler: Any = openai.AsyncAssistantEventHandler() if self.is_async else openai.AssistantEventHandler()
        counts: Counter[str] = Counter()
        for name in CALLBACKS:
            setattr(handler, f"on_{name}", self._callback(name, counts, on_event if name == "event" else None))
        return handler, counts

    def _callback(
        self, name: str, counts: Counter[str], then: Callable[[Any], Coroutine[Any, Any, None]] | None
    ) -> Callable[..., Any]:
        async def count(*given: Any) -> None:
            counts[name] += 1
            if then is not None:
                await then(*given)

        def count_now(*given: Any) -> None:
            now(count(*given))

        return count if self.is_async else count_now


async def raised(work: Callable[[], Any]) -> list[Any]:
    """What the client raises: class, status, param, code; `no error` if nothing."""
    try:
        await got(work())
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.param, error.code]
    except openai.OpenAIError as error:
        return [type(error).__name__]
    return ["no error"]


Check = Callable[["Any"], Awaitable[Any]]
