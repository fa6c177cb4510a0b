"""A whole server in this process over real HTTP, all its exchanges seen by the session's ledger; and a client of it."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.databases import prepared
from tests.support.waiting import until
from tests.support.witness import Witnessed
from threadmill.adapters.tokens.vocabularies import Vocabularies
from threadmill.api.server import Server, config
from threadmill.bootstrap import Application, open_application
from threadmill.settings import load

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A REST answer."""

    status: int
    body: Json
    headers: dict[str, str]


@dataclass(frozen=True)
class Sent:
    """An SSE event as a client gets it."""

    name: str
    data: Any


class Api:
    """A client of one server."""

    def __init__(self, base: str, session: aiohttp.ClientSession, headers: dict[str, str] | None = None) -> None:
        self.base = base
        self.session = session
        self.headers = headers or {"Authorization": "Bearer test", "OpenAI-Beta": "assistants=v2"}

    async def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Reply:
        """One request; `path` behind /v1."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        async with self.session.request(method, f"{self.base}/v1{path}", data=data, headers=self.headers) as response:
            found: Json = json.loads(await response.read())
            return Reply(response.status, found, dict(response.headers))

    async def ok(self, method: str, path: str, body: Any = None) -> Json:
        """The body of an answer that must be 200."""
        reply = await self.call(method, path, body)
        assert reply.status == 200, reply.body
        return reply.body

    async def refused(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Json]:
        """Status and error of an answer that must be an error."""
        reply = await self.call(method, path, body, raw)
        assert reply.status >= 400, reply.body
        return reply.status, reply.body["error"]

    @asynccontextmanager
    async def opened(self, path: str, body: Json) -> AsyncGenerator["AsyncGenerator[Sent, None]", None]:
        """An open stream's events as they come."""
        data = json.dumps({**body, "stream": True}).encode()
        async with self.session.post(f"{self.base}/v1{path}", data=data, headers=self.headers) as response:
            assert response.status == 200, await response.text()
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield events_of(response.content)

    async def stream(self, path: str, body: Json) -> list[Sent]:
        """A whole stream."""
        async with self.opened(path, body) as events:
            return [event async for event in events]

    async def assistant(self, **fields: Any) -> str:
        """A new assistant's id."""
        return (await self.ok("POST", "/assistants", {"model": "rehearsal", **fields}))["id"]

    async def thread(self, *said: str) -> str:
        """A new thread's id, with user messages."""
        messages = [{"role": "user", "content": text} for text in said]
        return (await self.ok("POST", "/threads", {"messages": messages}))["id"]

    async def file(self, name: str, content: bytes = b"x", purpose: str = "assistants", **more: str) -> str:
        """An uploaded file's id; `more` are further fields of the form."""
        form = aiohttp.FormData({"purpose": purpose, **more})
        form.add_field("file", io.BytesIO(content), filename=name)
        async with self.session.post(f"{self.base}/v1/files", data=form, headers=self.headers) as response:
            found: Json = json.loads(await response.read())
            return found["id"]

    async def read(self, store: str) -> Json:
        """The vector store once none of its files is being read."""
        found: Json = {}

        async def is_read() -> bool:
            nonlocal found
            found = await self.ok("GET", f"/vector_stores/{store}")
            return found["status"] != "in_progress"

        await until(f"the files of {store} to be read", is_read)
        return found

    async def finished(self, thread: str, run: str) -> Json:
        """The run once it is terminal or waits for its client."""
        found: Json = {}

        async def rests() -> bool:
            nonlocal found
            found = await self.ok("GET", f"/threads/{thread}/runs/{run}")
            return found["status"] not in ("queued", "in_progress", "cancelling")

        await until(f"{run} to end or to wait", rests)
        return found


async def events_of(content: aiohttp.StreamReader) -> AsyncGenerator[Sent, None]:
    """Parse SSE the plain way."""
    name = ""
    while line := (await content.readline()).decode():
        if line.startswith("event: "):
            name = line[7:].rstrip("\n")
        elif line.startswith("data: "):
            text = line[6:].rstrip("\n")
            data = text if name == "done" else json.loads(text)
            yield Sent(name, data)


@dataclass(frozen=True)
class Live:
    """A server that listens."""

    url: str
    api: Api
    assembly: Application


@cache
def vocabularies() -> Vocabularies:
    """Of all servers of this process: each of their own would take half a second with the first run."""
    return Vocabularies()


@asynccontextmanager
async def serving(
    directory: Path, upstream: str = "", keys: str = "", **environment: str
) -> AsyncGenerator[Live, None]:
    """Serve on a free port until left. `upstream` is a base URL; `environment` sets further THREADMILL_ names.

    Without a sandbox unless one is asked for: its self-test takes a second of both cores, which most tests do not need.
    """
    prepared(directory / "threadmill.db")
    env = {"THREADMILL_DATA_DIR": str(directory), "THREADMILL_UPSTREAM_URL": upstream, "THREADMILL_API_KEYS": keys}
    env["THREADMILL_SANDBOX"] = "off"
    env |= {f"THREADMILL_{name}": value for name, value in environment.items()}
    async with AsyncExitStack() as stack:
        # Said to be TCP, so that asyncio sets TCP_NODELAY on what it accepts: else each answer waits 40 ms for an ACK.
        listener = stack.enter_context(socket.socket(proto=socket.IPPROTO_TCP))
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assembly = await stack.enter_async_context(open_application(load(env), vocabularies()))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ready = asyncio.Event()
        server = Server(config(Witnessed(assembly.app)), lambda: assembly.drain(0), ready.set)
        serve = asyncio.create_task(server.serve([listener]))
        await ready.wait()
        try:
            yield Live(f"{base}/v1", Api(base, session), assembly)
        finally:
            server.should_exit = True
            await serve
