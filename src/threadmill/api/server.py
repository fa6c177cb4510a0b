"""uvicorn with our way of ending: at SIGTERM runs are drained first, so that open streams can end by themselves."""

import logging
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import ASGIApp

from threadmill.api.connections import Connections
from threadmill.api.protocol import HttpProtocol, protocol_of

LOG = logging.getLogger("threadmill")

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

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop. Connections are looked through once a second."""
        protocol = self.config.http
        if counter % 10 == 0 and isinstance(protocol, type) and issubclass(protocol, HttpProtocol):
            try:
                protocol.table.sweep()
            except Exception:  # whatever is wrong with a connection, the server does not end for it
                LOG.exception("Looking through the connections failed")
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close."""
        await self._drain()
        await super().shutdown(sockets)


def config(app: ASGIApp, connections: Connections | None = None, keep_alive_seconds: int = 75) -> uvicorn.Config:
    """How we serve: uvloop and httptools within bounds, no access log (nothing per request that need not be)."""
    table = connections or Connections()
    return uvicorn.Config(
        app,
        http=protocol_of(table),
        backlog=table.limits.backlog,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nothing here looks at the client's address
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        timeout_keep_alive=keep_alive_seconds,
    )
