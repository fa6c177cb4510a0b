"""Hands an upstream's answer on as it comes: one write for each read, nothing held, and a caller that leaves ends it."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from threadmill.api.answering import WRITE_TIMEOUT, answer_while_there, disconnected
from threadmill.domain.error import Unavailable
from threadmill.engine.ports.pass_through import PassedAnswer

LOOK_SECONDS = 15.0


class Relay(Response):
    """`uploaded` is set once the request's own body was read: only then can its end be listened for."""

    def __init__(self, answering: AbstractAsyncContextManager[PassedAnswer], uploaded: asyncio.Event) -> None:
        super().__init__()
        self._answering: AbstractAsyncContextManager[PassedAnswer] = answering
        self._uploaded: asyncio.Event = uploaded
        self._sending_since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one caller; returns when the answer ends or the caller is gone. Raises what the upstream's opening does."""
        await answer_while_there(self._relay(scope, send), self._watch(receive))

    async def _relay(self, scope: Scope, send: Send) -> None:
        async with self._answering as answer:
            headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            raw_send: Send = scope["state"]["send"]
            try:
                async for data in answer.chunks():
                    self._sending_since = time.monotonic()
                    await raw_send({"type": "http.response.body", "body": data, "more_body": True})
                    self._sending_since = None
            except Unavailable:
                # It has begun, so that it is not whole can only show in that its body never ends.
                return
            await raw_send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, receive: Receive) -> None:
        """Returns when the caller is gone or stuck."""
        await self._uploaded.wait()
        listening = asyncio.ensure_future(disconnected(receive))
        try:
            while not (await asyncio.wait({listening}, timeout=LOOK_SECONDS))[0]:
                if self._sending_since is not None and time.monotonic() - self._sending_since > WRITE_TIMEOUT:
                    return
        finally:
            listening.cancel()
