"""A real HTTP server with `/embeddings` and `/rerank`, computing from the texts themselves."""

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiohttp import web

SIZE = 8


def numbers_of(text: str, size: int = SIZE) -> list[float]:
    """Any text's numbers: the same for the same text, not of length 1."""
    digest = hashlib.sha256(text.encode()).digest()
    return [float(byte) - 127.5 for byte in (digest * (size // 32 + 1))[:size]]


class EmbeddingServer:
    """Answers while `gate` is set. `script` holds answers to give instead, first come first served."""

    def __init__(self) -> None:
        self.url: str = ""
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script: deque[web.Response] = deque()
        self.base64: bool = False
        self.backwards: bool = False
        self.gate: asyncio.Event = asyncio.Event()
        self.gate.set()

    def answer(self, body: object = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Give this as the next answer."""
        self.script.append(web.json_response(body, status=status, headers=headers))

    async def _embed(self, request: web.Request) -> web.Response:
        if (scripted := await self._receive(request)) is not None:
            return scripted
        asked = self.requests[-1]
        texts: Sequence[str] = asked["input"]
        rows = [numbers_of(text, asked.get("dimensions", SIZE)) for text in texts]
        data = [{"object": "embedding", "index": at, "embedding": self._written(row)} for at, row in enumerate(rows)]
        return web.json_response({"object": "list", "data": data[::-1] if self.backwards else data})

    def _written(self, row: Sequence[float]) -> object:
        return base64.b64encode(np.array(row, "<f4").tobytes()).decode() if self.base64 else list(row)

    async def _rerank(self, request: web.Request) -> web.Response:
        if (scripted := await self._receive(request)) is not None:
            return scripted
        asked = self.requests[-1]
        words = set(asked["query"].split())
        scores = [len(words & set(text.split())) / len(words) for text in asked["documents"]]
        order = sorted(range(len(scores)), key=lambda at: -scores[at])
        return web.json_response({"results": [{"index": at, "relevance_score": scores[at]} for at in order]})

    async def _receive(self, request: web.Request) -> web.Response | None:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        await self.gate.wait()
        return self.script.popleft() if self.script else None


@asynccontextmanager
async def embedding_server() -> AsyncGenerator[EmbeddingServer]:
    """One, on a free loopback port."""
    server, app = EmbeddingServer(), web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/embeddings", server._embed)  # pyright: ignore[reportPrivateUsage] - its own
    app.router.add_post("/v1/rerank", server._rerank)  # pyright: ignore[reportPrivateUsage] - its own
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    try:
        yield server
    finally:
        server.gate.set()
        await runner.cleanup()
