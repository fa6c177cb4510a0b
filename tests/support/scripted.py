"""A real HTTP upstream that answers what a test has scripted, and shows what it was asked."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Answer:
    """One answer: chunks of bytes in order; `gate`s between them are waited for. `then_cut` drops the connection."""

    chunks: Sequence["bytes | asyncio.Event"]
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    then_cut: bool = False


@dataclass
class Asked:
    """One request as it came; `gone` is set when the client has left before the answer's end."""

    body: dict[str, Any]
    headers: dict[str, str]
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)


def event(value: object) -> bytes:
    """One SSE event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(finish: str | None = None, **delta: Any) -> bytes:
    """A chat completion chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})


def usage(prompt: int = 10, completion: int = 5, cached: int = 0, reasoning: int = 0) -> bytes:
    """The chunk with the tokens."""
    details = {
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event({"choices": [], "usage": tokens | details})


DONE = b"data: [DONE]\n\n"


def text(*words: str, finish: str = "stop") -> Answer:
    """An answer of words."""
    return Answer([*(delta(content=word) for word in words), delta(finish), usage(), DONE])


def calls(*made: tuple[str, str, str], finish: str = "tool_calls", said: str = "") -> Answer:
    """An answer of function calls: (id, name, arguments)."""
    chunks = [delta(content=said)] if said else []
    for index, (call_id, name, arguments) in enumerate(made):
        opened = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        chunks.append(delta(tool_calls=[opened]))
        chunks.append(delta(tool_calls=[{"index": index, "function": {"arguments": arguments}}]))
    return Answer([*chunks, delta(finish), usage(), DONE])


def error(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An HTTP error answer."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": code}}).encode()
    return Answer([body], status, "application/json", headers)


class ScriptedUpstream:
    """Answers in the order of `script`; the last one again when it runs out."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[Asked] = []
        self.url = ""
        self._came = asyncio.Condition()

    def answer(self, *answers: Answer) -> None:
        """Add to the script."""
        self.script.extend(answers)

    async def request(self, number: int = 0) -> Asked:
        """The request of that number, once it has come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.asked) > number)
            return self.asked[number]

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "gpt-test", "object": "model", "created": 7}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(json.loads(await request.read()), dict(request.headers))
        answer = self.script[min(len(self.asked), len(self.script) - 1)]
        async with self._came:
            self.asked.append(asked)
            self._came.notify_all()
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": answer.content_type, **answer.headers}
        )
        try:
            await response.prepare(request)
            for chunk in answer.chunks:
                await (chunk.wait() if isinstance(chunk, asyncio.Event) else response.write(chunk))
                asked.begun.set()
            if answer.then_cut and request.transport is not None:
                request.transport.abort()
        except (ConnectionError, asyncio.CancelledError):
            asked.gone.set()
            raise
        return response


@asynccontextmanager
async def scripted_upstream() -> AsyncGenerator[ScriptedUpstream, None]:
    """An upstream on a free loopback port."""
    upstream = ScriptedUpstream()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", upstream._complete)  # pyright: ignore[reportPrivateUsage] - its own builder
    app.router.add_get("/v1/models", upstream._models)  # pyright: ignore[reportPrivateUsage] - as above
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()
