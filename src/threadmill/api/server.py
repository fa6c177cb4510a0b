"""uvicorn with our way of ending: at SIGTERM runs are drained first, so that open streams can end by themselves."""

import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import ASGIApp

GRACEFUL_SHUTDOWN_SECONDS = 5
"""Seconds open connections get after the drain."""


class Server(uvicorn.Server):
    """A uvicorn server that awaits `drain` before it waits for connections to close, and calls `ready` once it listens."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]], ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain: Callable[[], Awaitable[None]] = drain
        self._ready: Callable[[], None] = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close."""
        await self._drain()
        await super().shutdown(sockets)


def config(app: ASGIApp) -> uvicorn.Config:
    """How we serve: uvloop and httptools, no access log (nothing per request that need not be)."""
    return uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nothing here looks at the client's address
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        timeout_keep_alive=75,
    )
