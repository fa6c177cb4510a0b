"""Where exchanges are seen: around the app of a server in this process, or on the way to one in another."""

import asyncio
import io
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager

import aiohttp
from aiohttp import web
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from tests.support.evidence import LEDGER, Asked
from tests.support.order import StreamOrder

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "te", "upgrade", "date"}


class Listener:
    """One answer as it is sent. Told before the client has it, so that no test is over before it is judged."""

    def __init__(self, asked: Asked, status: int, content_type: str) -> None:
        self._asked, self._status, self._content_type = asked, status, content_type
        self._held, self._order = bytearray(), StreamOrder()
        self.is_stream = content_type.startswith("text/event-stream")
        if self.is_stream:
            LEDGER.streams(asked, content_type)

    def hear(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._held += piece
        while self.is_stream and b"\n\n" in self._held:
            frame, _, self._held = self._held.partition(b"\n\n")
            LEDGER.frame(self._asked, self._order, frame.decode())

    def end(self) -> None:
        """The body is whole. What a cut stream leaves behind is no frame."""
        if not self.is_stream:
            LEDGER.answered(self._asked, self._status, self._content_type, bytes(self._held))


PASSED_ON = re.compile(r"/(v1|openai)/(deployments/|chat/|completions|embeddings|responses|moderations|images/|audio/)")
"""What is no part of the API that is served here."""


class Witnessed:
    """An ASGI app whose exchanges are all seen."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said: list[bytes] = []
        listener: Listener | None = None
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def hear() -> Message:
            message = await receive()
            said.append(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            nonlocal listener
            if message["type"] == "http.response.start":
                asked = Asked(scope["method"], path.rstrip("/") or path, query, headers, b"".join(said))
                kinds = [value.decode() for name, value in message["headers"] if name == b"content-type"]
                if PASSED_ON.match(path):  # an upstream's answer, or what stands for one
                    await send(message)
                    return
                listener = Listener(asked, message["status"], ", ".join(kinds))
            elif listener is not None:
                listener.hear(message.get("body", b""))
                if not message.get("more_body", False):
                    listener.end()
            await send(message)

        await self._app(scope, hear, tell)


class _Relay:
    """An HTTP proxy that changes nothing."""

    def __init__(self, target: str) -> None:
        self._target = target

    async def start(self) -> tuple[web.AppRunner, str]:
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._pass)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def stop(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        seen = {name.lower(): value for name, value in headers}
        asked = Asked(request.method, request.path, request.query_string, seen, body)
        url = URL(f"{self._target}{request.raw_path}", encoded=True)
        try:
            async with self._session.request(
                request.method, url, data=io.BytesIO(body) if body else None, headers=headers, allow_redirects=False
            ) as answer:
                return await self._answer(request, asked, answer)
        except aiohttp.ClientError:
            if request.transport is not None:
                request.transport.abort()
            raise

    async def _answer(self, request: web.Request, asked: Asked, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        listener = Listener(asked, answer.status, answer.headers.get("content-type", ""))
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
        response = web.StreamResponse(status=answer.status)
        response.headers.extend(kept)
        if listener.is_stream:
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                listener.hear(piece)
                await response.write(piece)
        else:
            body = await answer.read()
            listener.hear(body)
            listener.end()
            response.content_length = len(body)
            await response.prepare(request)
            await response.write(body)
        await response.write_eof()
        return response


@contextmanager
def witnessed(base: str) -> Generator[str, None, None]:
    """A base URL that leads to the server at `base` (scheme and host), every exchange seen on the way."""
    relay, loop = _Relay(base), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, url = asyncio.run_coroutine_threadsafe(relay.start(), loop).result()
    try:
        yield url
    finally:
        asyncio.run_coroutine_threadsafe(relay.stop(runner), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
