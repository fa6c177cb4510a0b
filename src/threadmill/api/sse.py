"""Step 9 of a run: tail the event log from a cursor and frame it. Clients that are slow, idle or gone end here.

A response only reads the run's log; the run does not know it (ADR-0002).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from threadmill.api.answering import WRITE_TIMEOUT, answer_while_there, disconnected
from threadmill.domain.error import ThreadmillError, Unavailable
from threadmill.domain.event import Event, ends_stream
from threadmill.engine.ports.event_log import Entry
from threadmill.engine.ports.store import StoredEvent
from threadmill.wire.sse_delta import delta_frame
from threadmill.wire.sse_event import DONE_FRAME, error_frame, event_frame

STREAM_INTERRUPTED = "The server stops, and the run goes on when it is back; or the thread was deleted."
"""Told where a stream ends before its run does."""

PING = b": keep-alive\n"
"""A comment, so that proxies keep a silent connection. One line and no blank one: official SDKs keep the last `id` and
take every blank line for the end of an event, whose missing data they then cannot parse."""

HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


def frames(entries: Sequence[Entry], *, include_content: bool = False) -> bytes:
    """The entries as SSE, in one piece for one write."""
    return b"".join(
        event_frame(entry.seq, entry.event, include_content=include_content)
        if isinstance(entry, StoredEvent)
        else delta_frame(entry)
        for entry in entries
    )


class EventStream(Response):
    """Streams `entries` as `framing` makes bytes of them, until they end with an event that `is_last` knows.

    `comment_seconds`: after so long without a byte a comment is sent. `is_over`: all may have been told before.
    """

    def __init__(
        self,
        entries: AsyncGenerator[Sequence[Entry], None],
        framing: Callable[[Sequence[Entry]], bytes],
        comment_seconds: float,
        *,
        is_last: Callable[[Event], bool] = ends_stream,
        is_over: bool = False,
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._entries: AsyncGenerator[Sequence[Entry], None] = entries
        self._framing: Callable[[Sequence[Entry]], bytes] = framing
        self._comment_seconds: float = comment_seconds
        self._is_last: Callable[[Event], bool] = is_last
        self._is_over: bool = is_over
        self._sending_since: float | None = None
        self._sent_at: float = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client; returns when the stream ends or the client is gone."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        raw_send: Send = scope["state"]["send"]
        await answer_while_there(self._stream(raw_send), self._watch(receive, raw_send))

    async def _stream(self, send: Send) -> None:
        try:
            ended = await self._stream_log(send)
            last = b"" if ended else error_frame(Unavailable(STREAM_INTERRUPTED))
        except ThreadmillError as error:
            last = error_frame(error)
        await self._send(send, last + DONE_FRAME)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream_log(self, send: Send) -> bool:
        """Whether the log ended by an event that is the last."""
        last: Entry | None = None
        async with aclosing(self._entries):
            async for entries in self._entries:
                await self._send(send, self._framing(entries))
                last = entries[-1]
        return self._is_over if last is None else isinstance(last, StoredEvent) and self._is_last(last.event)

    async def _send(self, send: Send, body: bytes) -> None:
        self._sending_since = time.monotonic()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        self._sent_at = time.monotonic()
        self._sending_since = None

    async def _watch(self, receive: Receive, send: Send) -> None:
        """Returns when the client is gone or stuck; meanwhile keeps an idle connection alive."""
        listening = asyncio.ensure_future(disconnected(receive))
        try:
            while not (await asyncio.wait({listening}, timeout=self._next_look()))[0]:
                now = time.monotonic()
                if self._sending_since is not None:
                    if now - self._sending_since >= WRITE_TIMEOUT:
                        return
                elif now - self._sent_at >= self._comment_seconds:
                    await self._send(send, PING)
        finally:
            listening.cancel()

    def _next_look(self) -> float:
        """Seconds until a comment is due, or the client has taken nothing for too long."""
        if self._sending_since is not None:
            due = self._sending_since + WRITE_TIMEOUT
        else:
            due = self._sent_at + self._comment_seconds
        return max(0.0, due - time.monotonic())
