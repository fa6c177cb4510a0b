"""Step 3 of a replay: a Chat Completions server that says what the recorded model said, and no sooner than recorded.

A piece is written when the exchange that first shows it is played (`Stage.advance`). While a stream is read, the next
piece also waits until the one before was heard: the server joins what it reads at once, and deltas are compared.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby

from aiohttp import web

from tools.replay.evidence import RunEvidence
from tools.replay.recording import Json, JsonObject, as_list, as_number, as_object
from tools.replay.turns import Failure, Turn, Write, WriteKind, turns_of

PACE_SECONDS = 0.3
"""How long a piece waits for the one before to be heard; the server may have kept that one for itself."""


@dataclass
class Part:
    """A run's model: its turns, which of them was asked for last, and how far that one was said."""

    run: RunEvidence
    turns: list[Turn]
    asked: int = 0
    held_at: int = 0
    """The exchange the present answer waits for; 0 while it goes on."""
    expected: bool = False
    """A request of this run may come: it was created, or got its tool outputs."""
    calls: set[str] = field(default_factory=set[str])


class Stage:
    """The models of one playing and the place in the recording that is played now."""

    def __init__(self, runs: Iterable[RunEvidence]) -> None:
        self.parts: dict[str, Part] = {run.id: Part(run, turns_of(run)) for run in runs}
        self.surprises: list[str] = []
        self.translate: Callable[[str], str] = str
        """Recorded ids to ours, as far as they are known when the model speaks: code names files by them."""
        self.paced: bool = False
        self._now: int = -1
        self._heard: int = 0
        self._changed: asyncio.Condition = asyncio.Condition()

    async def advance(self, number: int) -> None:
        """Exchange `number` is played now: what it shows may be said."""
        async with self._changed:
            self._now = number
            self._changed.notify_all()

    async def heard(self) -> None:
        """The player has read one delta of the stream it plays."""
        async with self._changed:
            self._heard += 1
            self._changed.notify_all()

    def expect(self, run_id: str) -> None:
        """The next request of that run may come."""
        if run_id in self.parts:
            self.parts[run_id].expected = True

    async def asked(self, run_id: str, count: int, seconds: float) -> bool:
        """Wait until `count` turns of the run were asked for; False when they were not in time."""
        part = self.parts[run_id]
        return await self._until(lambda: part.asked >= count, seconds)

    def holds(self, run_id: str) -> bool:
        """Whether the run's present answer is kept back, so that the run cannot go on."""
        return self.parts[run_id].held_at > self._now

    async def _until(self, fits: Callable[[], bool], seconds: float | None = None) -> bool:
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(fits)
        except TimeoutError:
            return False
        return True

    async def take(self, request: JsonObject) -> tuple[Part, Turn] | None:
        """Whose request this is and what is said to it; None: nobody's that was recorded."""
        async with self._changed:
            part = self._whose(request)
            if part is None or not part.turns:
                return None
            turn = part.turns[min(part.asked, len(part.turns) - 1)]
            part.asked += 1
            part.expected = False
            part.calls = {write.call.id for write in turn.writes if write.call is not None}
            self._changed.notify_all()
            return part, turn

    def _whose(self, request: JsonObject) -> Part | None:
        """The run whose calls are answered in the request, else the one that was expected longest."""
        answered = {str(as_object(one).get("tool_call_id")) for one in as_list(request.get("messages"))}
        going_on = [part for part in self.parts.values() if part.calls and part.calls <= answered]
        expected = [part for part in self.parts.values() if part.expected]
        both = [part for part in going_on if part.expected]
        found = both or [part for part in going_on if part.asked < len(part.turns)] or expected or going_on
        return found[0] if found else None

    async def wait_for(self, part: Part, at: int) -> None:
        """Until exchange `at` is played."""
        if at > self._now:
            part.held_at = at
            await self._until(lambda: at <= self._now)
        part.held_at = 0

    async def pace(self, said: int) -> int:
        """Until `said` pieces were heard in all; gives how many are missing still, which nobody will hear alone."""
        if not self.paced:
            return 0
        await self._until(lambda: self._heard >= said, PACE_SECONDS)
        return said - self._heard

    @property
    def heard_so_far(self) -> int:
        """Deltas read in this playing."""
        return self._heard


class Upstream:
    """The HTTP side. `stage` is the playing it answers for now; `models` are the names it lists."""

    def __init__(self) -> None:
        self.stage: Stage = Stage(())
        self.models: list[str] = []
        self.url: str = ""

    async def list_models(self, _: web.Request) -> web.Response:
        """GET /models."""
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "system"} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /chat/completions."""
        asked: JsonObject = json.loads(await request.read())
        stage = self.stage
        taken = await stage.take(asked)
        if taken is None:
            stage.surprises.append("The server asked the model where no recorded run was to go on.")
            return _refusal(400, {"message": "Nothing recorded says what the model said here.", "code": "replay"})
        part, turn = taken
        if turn.failure is not None and not turn.writes:
            await stage.wait_for(part, turn.failure.at)
            return _refusal(*_error_of(turn.failure))
        return await _Answer(request, stage, part, turn, asked).play()


def _refusal(status: int, error: JsonObject) -> web.Response:
    return web.json_response({"error": error}, status=status)


def _error_of(failure: Failure) -> tuple[int, JsonObject]:
    """An upstream's error that becomes that `last_error`, chosen so that the server does not try again."""
    match failure.code:
        case "rate_limit_exceeded":
            return 429, {"message": failure.message, "type": "tokens", "code": "insufficient_quota"}
        case "invalid_prompt":
            return 400, {"message": failure.message, "type": "invalid_request_error", "code": "invalid_prompt"}
        case _:
            return 400, {"message": failure.message, "type": "server_error", "code": None}


class _Answer:
    """One streamed answer while it is written."""

    def __init__(self, request: web.Request, stage: Stage, part: Part, turn: Turn, asked: JsonObject) -> None:
        self._request: web.Request = request
        self._stage: Stage = stage
        self._part: Part = part
        self._turn: Turn = turn
        self._tools: _Tools = _Tools(asked)
        self._said: tuple[Write, ...] = turn.writes

    async def play(self) -> web.StreamResponse:
        """Write all of it; the server may hang up at any time."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(self._request)
        await response.write(_chunk({"role": "assistant", "content": ""}))
        said = self._stage.heard_so_far
        self._said = _translated(self._turn.writes, self._stage.translate)
        for at, delta, is_heard in self._deltas():
            await self._stage.wait_for(self._part, at)
            await response.write(_chunk(delta))
            said += is_heard
            said -= await self._stage.pace(said)
        await self._end(response)
        return response

    async def _end(self, response: web.StreamResponse) -> None:
        turn = self._turn
        await self._stage.wait_for(self._part, turn.at)
        if turn.failure is not None:
            # In the middle of an answer nothing is tried again, so the plain code does.
            await response.write(_event({"error": _error_of(turn.failure)[1] | {"code": turn.failure.code}}))
        else:
            await response.write(_chunk({}, turn.finish or None))
            await response.write(_event({"choices": [], "usage": _usage(turn.usage)}))
            await response.write(b"data: [DONE]\n\n")
        await response.write_eof()

    def _deltas(self) -> Iterator[tuple[int, JsonObject, bool]]:
        """(exchange it belongs to, delta, whether the client hears a delta of its own for it)."""
        writes = self._said
        for number, write in enumerate(writes):
            match write.kind:
                case WriteKind.TEXT:
                    yield write.at, {"content": write.text}, bool(write.text)
                case WriteKind.REFUSAL:
                    yield write.at, {"refusal": write.text}, True
                case WriteKind.CALL:
                    yield write.at, self._tools.opening(write), True
                    if before := self._tools.before(write):
                        yield write.at, _grown(write, before), False
                case WriteKind.ARGUMENTS:
                    yield write.at, _grown(write, self._tools.inside(write)), True
            if _is_last_of_call(writes, number) and (behind := self._tools.behind(write)):
                yield write.at, _grown(write, behind), False


def _translated(writes: tuple[Write, ...], translate: Callable[[str], str]) -> tuple[Write, ...]:
    """The same with our ids. One that lies across pieces is found too, as long as ours is as long."""
    found: list[Write] = []
    for _, group in groupby(writes, key=lambda write: (write.kind, id(write.call))):
        pieces = list(group)
        whole = "".join(piece.text for piece in pieces)
        ours = translate(whole)
        ends = list(accumulate(len(piece.text) for piece in pieces))
        cuts = [ours[end - len(piece.text) : end] for piece, end in zip(pieces, ends, strict=True)]
        texts = cuts if len(ours) == len(whole) else [translate(piece.text) for piece in pieces]
        found += [replace(piece, text=text) for piece, text in zip(pieces, texts, strict=True)]
    return tuple(found)


def _is_last_of_call(writes: tuple[Write, ...], number: int) -> bool:
    call = writes[number].call
    return call is not None and (number + 1 == len(writes) or writes[number + 1].call is not call)


def _grown(write: Write, text: str) -> JsonObject:
    return {"tool_calls": [{"index": write.index, "function": {"arguments": text}}]}


class _Tools:
    """How this server offers its own tools to a model: read from the request, for no name is agreed on."""

    def __init__(self, asked: JsonObject) -> None:
        self._asked: JsonObject = asked
        self._offered: list[JsonObject] = [
            as_object(as_object(tool).get("function")) for tool in as_list(asked.get("tools"))
        ]

    def opening(self, write: Write) -> JsonObject:
        """The delta that opens a call."""
        call = write.call
        name = write.text if call is None or call.type == "function" else str(self._tool(call.type).get("name"))
        function = {"name": name, "arguments": ""}
        opened = {"index": write.index, "id": call.id if call else "", "type": "function", "function": function}
        return {"tool_calls": [opened]}

    def before(self, write: Write) -> str:
        """JSON ahead of recorded code; a search's whole arguments, for its query was not recorded."""
        kind = write.call.type if write.call else "function"
        if kind == "function":
            return ""
        name, is_list = self._argument(kind)
        if kind == "file_search":
            query = self._question()
            return json.dumps({name: [query] if is_list else query}, ensure_ascii=False)
        return "{" + json.dumps(name) + ':"'

    def inside(self, write: Write) -> str:
        """A piece of arguments, or of code inside a JSON text."""
        is_code = write.call is not None and write.call.type == "code_interpreter"
        return json.dumps(write.text, ensure_ascii=False)[1:-1] if is_code else write.text

    def behind(self, write: Write) -> str:
        """JSON that ends what `before` began."""
        return '"}' if write.call is not None and write.call.type == "code_interpreter" else ""

    def _tool(self, kind: str) -> JsonObject:
        words = {"code_interpreter": "code|python", "file_search": "search|retriev"}.get(kind, kind)
        named = [one for one in self._offered if one.get("name") == kind]
        similar = [one for one in self._offered if re.search(words, str(one.get("name")))]
        return next(iter([*named, *similar]), {"name": kind})

    def _argument(self, kind: str) -> tuple[str, bool]:
        """The tool's first text argument, or list of texts."""
        properties = as_object(as_object(self._tool(kind).get("parameters")).get("properties"))
        for name, schema in properties.items():
            said = as_object(schema).get("type")
            if said in ("string", "array"):
                return name, said == "array"
        return ("query" if kind == "file_search" else "code"), False

    def _question(self) -> str:
        """What the user asked last."""
        said = [as_object(one) for one in as_list(self._asked.get("messages"))]
        asked = [one.get("content") for one in said if one.get("role") == "user"]
        last: Json = asked[-1] if asked else ""
        return last if isinstance(last, str) else json.dumps(last)


def _usage(usage: JsonObject) -> JsonObject:
    prompt, completion = (int(as_number(usage.get(f"{kind}_tokens")) or 0) for kind in ("prompt", "completion"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _chunk(delta: JsonObject, finish: str | None = None) -> bytes:
    return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(body: JsonObject) -> bytes:
    whole = {"id": "chatcmpl-replay", "object": "chat.completion.chunk", "created": 1, "model": "recorded"} | body
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


@asynccontextmanager
async def serving_upstream(port: int = 0) -> AsyncGenerator[Upstream, None]:
    """The upstream on a loopback port, a free one by default."""
    upstream = Upstream()
    app = web.Application(client_max_size=256 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", upstream.complete)
    app.router.add_get("/v1/models", upstream.list_models)
    # A handler is cancelled when its client leaves: a cancelled run must not keep an answer waiting.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()
