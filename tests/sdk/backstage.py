"""The test's switchboard: clients in other processes ask it over HTTP for servers of their own, to stop or to fill.

POST /servers[?keys=PROJECT=KEY,…]   a fresh server: {"number", "url"}
POST /servers/N/restart              stops it; the next connection is dropped, then it is back on the same port
POST /servers/N/fill                 its disk is full until it has answered one 503
POST /servers/N/seen                 what it was asked: statuses, the SDK's retry counts, Retry-After
"""

import asyncio
import socket
import struct
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.databases import prepared
from tests.support.serving import vocabularies
from threadmill.adapters.sqlite.store import SqliteStore
from threadmill.api.server import Server, config
from threadmill.bootstrap import Application, open_application
from threadmill.settings import load

UNLIMITED_PAGES = 1_000_000


class Recorded:
    """The app, with a note of each answer."""

    def __init__(self, app: ASGIApp, server: "OwnServer") -> None:
        self.app = app
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self.server.note(scope, message)
            await send(message)

        await self.app(scope, receive, noted)


class OwnServer:
    """A whole server on a port that stays its own over restarts."""

    def __init__(self, directory: Path, keys: str) -> None:
        prepared(directory / "threadmill.db")
        config_file = directory / "threadmill.toml"
        config_file.write_text("[limits]\nstream_comment_seconds = 0.05\n")  # checks of silence need not last
        names = {"DATA_DIR": str(directory), "API_KEYS": keys, "CONFIG": str(config_file), "SANDBOX": "off"}
        self.settings = load({f"THREADMILL_{name}": value for name, value in names.items()})
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.statuses: list[int] = []
        self.retries: list[int] = []
        self.retry_after: list[str] = []
        self.coming_back: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once it answers."""
        ready, self.leave = asyncio.Event(), asyncio.Event()
        self.serving = asyncio.create_task(self._serve(ready))
        await asyncio.wait({self.serving, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)

    async def _serve(self, ready: asyncio.Event) -> None:
        async with open_application(self.settings, vocabularies()) as assembly:
            self.assembly: Application = assembly
            server = Server(config(Recorded(assembly.app, self)), lambda: assembly.drain(0), ready.set)  # pyright: ignore[reportArgumentType] - any ASGI app
            task = asyncio.create_task(server.serve([self.listener.dup()]))
            await self.leave.wait()
            server.should_exit = True
            await task

    async def stop(self) -> None:
        """Ends as a server does at SIGTERM."""
        self.leave.set()
        await self.serving

    async def close(self) -> None:
        """Ends for good, even while it waits for a client that never came back."""
        if self.coming_back is not None:
            self.coming_back.cancel()
            await asyncio.wait({self.coming_back})
        await self.stop()
        self.listener.close()

    async def restart(self) -> None:
        """Returns when it is down. A client must try before it is back."""
        await self.stop()
        self.coming_back = asyncio.create_task(self._come_back())

    async def _come_back(self) -> None:
        connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        await self.start()

    async def limit(self, pages: int) -> None:
        """SQLite refuses to grow the file beyond so many pages."""
        store = self.assembly.engine.ports.store
        assert isinstance(store, SqliteStore)
        await store.set_max_pages(pages)

    async def note(self, scope: Scope, message: Message) -> None:
        """Remember an answer; a full disk is emptied once somebody was told of it."""
        headers = {name.lower(): value.decode() for name, value in [*scope["headers"], *message["headers"]]}
        self.statuses.append(message["status"])
        self.retries.append(int(headers.get(b"x-stainless-retry-count", "0")))
        if message["status"] == 503:
            self.retry_after = [headers.get(name, "none") for name in (b"retry-after", b"retry-after-ms")]
            await self.limit(UNLIMITED_PAGES)


class Backstage:
    """All servers that were asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: list[OwnServer] = []

    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_post("/servers", self.create)
        app.router.add_post("/servers/{number}/{wish}", self.wish)
        return app

    async def create(self, request: web.Request) -> web.Response:
        number = len(self.servers)
        server = OwnServer(self.directory / str(number), request.query.get("keys", ""))
        self.servers.append(server)
        await server.start()
        return web.json_response({"number": number, "url": server.url})

    async def wish(self, request: web.Request) -> web.Response:
        server = self.servers[int(request.match_info["number"])]
        match request.match_info["wish"]:
            case "restart":
                await server.restart()
            case "fill":
                await server.limit(1)
            case _:
                pass
        seen = {"statuses": server.statuses, "retries": server.retries, "retry_after": server.retry_after}
        return web.json_response(seen)


@contextmanager
def backstage() -> Generator[str, None, None]:
    """The switchboard's address while it runs, on a thread of its own."""
    started: list[str] = []
    ready, leave = threading.Event(), threading.Event()

    async def run(directory: Path) -> None:
        board = Backstage(directory)
        runner = web.AppRunner(board.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        await asyncio.to_thread(leave.wait)
        await asyncio.gather(*(server.close() for server in board.servers))
        await runner.cleanup()

    with tempfile.TemporaryDirectory() as directory:
        thread = threading.Thread(target=lambda: asyncio.run(run(Path(directory))))
        thread.start()
        ready.wait()
        try:
            yield started[0]
        finally:
            leave.set()
            thread.join()
