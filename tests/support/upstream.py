"""A real HTTP server that plays a model: every test that needs an upstream scripts this one.

    async with ScriptedUpstream() as upstream:
        upstream.answer(Text("Hello", " world"), usage=Usage(3, 2))
        ...                                          # point the code under test at upstream.url
        assert upstream.requests[0].json["model"] == "gpt-4o"

Answers are played in the order they were scripted, one per `POST /v1/chat/completions`. Nothing here sleeps: a `Pause`
waits for an event, a `Stall` for the client to leave.
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiohttp import web

from threadmill.domain.outcome import Usage

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, init=False)
class Text:
    """Answer text, one chunk each."""

    chunks: tuple[str, ...]

    def __init__(self, *chunks: str) -> None:
        object.__setattr__(self, "chunks", chunks)


@dataclass(frozen=True)
class Call:
    """A tool call at `index`: one chunk with id and name, then one for each piece of the arguments."""

    name: str
    arguments: str | Sequence[str] = "{}"
    id: str = "call_1"
    index: int = 0


@dataclass(frozen=True)
class Refusal:
    """A refusal in one chunk."""

    text: str


@dataclass(frozen=True)
class Delta:
    """Any delta at all, as one chunk."""

    delta: JsonObject
    finish: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Any JSON at all, as one event."""

    body: JsonObject


@dataclass(frozen=True)
class Raw:
    """These bytes, in one write."""

    data: bytes


@dataclass
class Pause:
    """The server stops here until `go` is set; `reached` is set when it gets here."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Cut:
    """The connection is torn down."""


@dataclass(frozen=True)
class Stall:
    """Nothing more is sent; the connection stays open until the client leaves."""


Part: TypeAlias = Text | Call | Refusal | Delta | Chunk | Raw | Pause | Cut | Stall


@dataclass(frozen=True)
class Received:
    """A request as it came; `peer` names its TCP connection. `disconnected` is set when the client left too early."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    peer: str = ""
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> JsonObject:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class _Stream:
    parts: tuple[Part, ...]
    finish: str | None
    usage: Usage | None
    done: bool


@dataclass(frozen=True)
class _Status:
    status: int
    body: bytes
    headers: Mapping[str, str]
    before: Pause | Stall | Cut | None = None


class ScriptedUpstream:
    """Serves `url` on a free loopback port while its context is open; with `tls`, over https."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls: ssl.SSLContext | None = tls
        self.requests: list[Received] = []
        self.model_requests: list[Received] = []
        self.url: str = ""
        self.models_status: int = 200
        self.models_body: JsonObject = {"object": "list", "data": []}
        self._answers: deque[_Stream | _Status] = deque()
        self._arrived: asyncio.Condition = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        # With this a handler is cancelled when its client leaves: that is how `disconnected` knows.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http{'s' if self._tls else ''}://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and tear down what is open."""
        if self._runner is not None:
            await self._runner.cleanup()

    def answer(self, *parts: Part, usage: Usage | None = None, finish: str | None = "auto", done: bool = True) -> None:
        """Stream `parts`. `finish` auto is tool_calls after a call, else stop; None sends none. `done` sends [DONE]."""
        if finish == "auto":
            finish = "tool_calls" if any(isinstance(part, Call) for part in parts) else "stop"
        self._answers.append(_Stream(parts, finish, usage, done))

    def fail(
        self, status: int, error: JsonObject | str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with a status and `{"error": error}`."""
        self.fail_with(status, {"error": error}, headers)

    def fail_with(self, status: int, body: JsonObject, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a status and any JSON object."""
        self.reply(status, json.dumps(body).encode(), headers)

    def reply(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        before: Pause | Stall | Cut | None = None,
    ) -> None:
        """Answer with exactly this, not streamed; `before` happens ahead of the first byte."""
        headers = {"Content-Type": "application/json"} | dict(headers or {})
        self._answers.append(_Status(status, body, headers, before))

    async def received(self, count: int = 1) -> Received:
        """Wait for the request number `count`, from 1."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def _models(self, request: web.Request) -> web.Response:
        self.model_requests.append(await _receive(request))
        return web.json_response(self.models_body, status=self.models_status)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        received = await _receive(request)
        async with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        if not self._answers:
            return web.json_response({"error": {"message": "The test scripted no answer for this."}}, status=400)
        answer = self._answers.popleft()
        try:
            return await (_say(request, answer) if isinstance(answer, _Status) else _play(request, answer))
        except (asyncio.CancelledError, ConnectionResetError):
            received.disconnected.set()
            raise


async def _receive(request: web.Request) -> Received:
    peer = str(request.transport and request.transport.get_extra_info("peername"))
    return Received(request.path, dict(request.query), dict(request.headers), await request.read(), peer)


async def _say(request: web.Request, answer: _Status) -> web.StreamResponse:
    if answer.before is not None:
        await _wait(request, answer.before)
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


async def _play(request: web.Request, answer: _Stream) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    if not any(isinstance(part, Raw) for part in answer.parts):
        await response.write(event_for({"role": "assistant", "content": ""}))
    for part in answer.parts:
        if isinstance(part, Pause | Stall | Cut):
            await _wait(request, part)
        else:
            for data in _written(part):
                await response.write(data)
    for data in _ending(answer):
        await response.write(data)
    await response.write_eof()
    return response


async def _wait(request: web.Request, part: Pause | Stall | Cut) -> None:
    match part:
        case Pause():
            part.reached.set()
            await part.go.wait()
        case Stall():
            await asyncio.Event().wait()
        case Cut():
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError


def _written(part: Text | Call | Refusal | Delta | Chunk | Raw) -> list[bytes]:
    """The part as network writes."""
    match part:
        case Text():
            return [event_for({"content": chunk}) for chunk in part.chunks]
        case Call():
            return _call(part)
        case Refusal():
            return [event_for({"refusal": part.text})]
        case Delta():
            return [event_for(part.delta, part.finish)]
        case Chunk():
            return [_event(part.body)]
        case Raw():
            return [part.data]


def _call(call: Call) -> list[bytes]:
    pieces = [call.arguments] if isinstance(call.arguments, str) else call.arguments
    opening = {"index": call.index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
    grown = [{"index": call.index, "function": {"arguments": piece}} for piece in pieces]
    return [event_for({"tool_calls": [delta]}) for delta in (opening, *grown)]


def _ending(answer: _Stream) -> list[bytes]:
    events: list[bytes] = []
    if answer.finish is not None:
        events.append(event_for({}, answer.finish))
    if answer.usage is not None:
        events.append(_event({"choices": [], "usage": usage_json(answer.usage)}))
    if answer.done:
        events.append(b"data: [DONE]\n\n")
    return events


def usage_json(usage: Usage) -> JsonObject:
    """Usage as upstreams send it."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def event_for(delta: JsonObject, finish: str | None = None) -> bytes:
    """One chunk event in the shape OpenAI sends."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({"choices": [choice], "usage": None})


def _event(body: JsonObject) -> bytes:
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"} | body
    return b"data: " + json.dumps(whole).encode() + b"\n\n"
