"""uvicorn with our way of ending: at SIGTERM runs are drained first, so that open streams can end by themselves."""

import asyncio
from collections.abc import Awaitable, Callable

import uvicorn


class Server(uvicorn.Server):
    """A uvicorn server that awaits `drain` before it waits for connections to close."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain: Callable[[], Awaitable[None]] = drain
        self.ready: asyncio.Event = asyncio.Event()

    async def startup(self, sockets: "list[object] | None" = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Listen, then say so."""
        await super().startup(sockets)  # pyright: ignore[reportArgumentType]
        self.ready.set()

    async def shutdown(self, sockets: "list[object] | None" = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Drain, then close."""
        await self._drain()
        await super().shutdown(sockets)  # pyright: ignore[reportArgumentType]
