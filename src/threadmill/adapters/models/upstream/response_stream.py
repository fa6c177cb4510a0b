"""One answer of an upstream while it streams: reads the network, splits, translates, keeps the time-outs.

Whatever the server calls its content, its first byte tells: `{` begins a whole JSON answer (the server does not
stream), `<` an HTML page of something that is no model server; all else is Server-Sent Events.
"""

import asyncio
import math

import aiohttp

from threadmill.adapters.models.upstream.chunk_decoder import ChunkDecoder
from threadmill.adapters.models.upstream.settings import Timeouts
from threadmill.adapters.models.upstream.sse_parser import EventTooLarge, SseParser
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError, Piece

MAX_WHOLE_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that was not streamed."""

DRAIN_SECONDS = 0.05
"""Seconds a finished answer is waited for to end its HTTP body, so that the connection can be used again."""


class _JsonBody:
    """The splitter's stand-in for an answer that is one JSON document."""

    def __init__(self) -> None:
        self._body: bytearray = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Nothing yet. Raises EventTooLarge."""
        self._body += data
        if len(self._body) > MAX_WHOLE_ANSWER:
            raise EventTooLarge
        return []

    def end(self) -> list[bytes]:
        """The document."""
        return [bytes(self._body)]


class ResponseStream:
    """Ask `next` until it gives nothing; `close` in any case. One reader. `deadline` is the loop's time by which the
    first event must have come; None: as long as the reader waits.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, decoder: ChunkDecoder, timeouts: Timeouts, deadline: float | None
    ) -> None:
        self._response: aiohttp.ClientResponse = response
        self._timeouts: Timeouts = timeouts
        self._deadline: float = math.inf if deadline is None else deadline
        self._limit: float | None = timeouts.first_token
        self._parser: SseParser | _JsonBody | None = None
        self._decoder: ChunkDecoder = decoder
        self._begun: bool = False
        self._ended: bool = False
        self._silent: bool = False
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        # One timer looks after the whole answer: a timeout for each read would cost more than the read.
        self._watch: asyncio.TimerHandle | None = None
        if deadline is not None:
            self._watch = self._loop.call_at(deadline, self._check_deadline)

    async def next(self) -> list[Piece]:
        """The pieces of the next network read that holds any; empty at the end. Raises ModelError."""
        if self._begun:
            # The reader's own time since the last batch is not the upstream's.
            self._reset_deadline()
        while not self._ended:
            if pieces := await self._advance():
                self._begun, self._limit = True, self._timeouts.between_tokens
                return pieces
        if self._decoder.error is not None:
            raise self._decoder.error
        return []

    def close(self) -> None:
        """Close the connection at once, unless the answer was read to its end: then it is used again."""
        if self._watch is not None:
            self._watch.cancel()
        self._response.close()

    def _check_deadline(self) -> None:
        """The deadline came, or was moved meanwhile."""
        if self._loop.time() < self._deadline:
            self._watch = self._loop.call_at(self._deadline, self._check_deadline)
            return
        self._silent = True
        self._response.close()

    async def _advance(self) -> list[Piece]:
        if self._decoder.done:
            await self._drain()
            return self._end()
        data = await self._read()
        events = self._parse(data)
        if events:
            # Events without pieces (roles, hidden reasoning) are signs of life; comments are not.
            self._reset_deadline()
        decoder = self._decoder
        pieces = decoder.read(events)
        # What ends an answer, its usage, comes when nothing is waited for any more; its last words do not wait for that.
        if not data or decoder.error is not None or (decoder.done and self._response.content.at_eof()):
            pieces += self._end()
        return pieces

    def _end(self) -> list[Piece]:
        self._ended = True
        return self._decoder.end()

    def _reset_deadline(self) -> None:
        limit, watch = self._limit, self._watch
        if limit is None:
            if watch is not None:
                watch.cancel()
                self._watch = None
            return
        self._deadline = self._loop.time() + limit
        if watch is None or self._deadline < watch.when():
            if watch is not None:
                watch.cancel()
            self._watch = self._loop.call_at(self._deadline, self._check_deadline)

    def _parse(self, data: bytes) -> list[bytes]:
        try:
            if self._parser is None:
                self._parser = _parser_for(data)
            return self._parser.feed(data) if data else self._parser.end()
        except EventTooLarge:
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream sent an event that is too large.") from None

    async def _read(self) -> bytes:
        """The next bytes; b"" at the end and where the connection broke, which the decoder tells apart."""
        try:
            data = await self._response.content.readany()
        except (aiohttp.ClientError, OSError):
            data = b""
        if self._silent:
            text = f"The upstream sent nothing for {self._limit:g} seconds."
            raise ModelError(ErrorCode.SERVER_ERROR, text)
        return data

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            return


def _parser_for(data: bytes) -> SseParser | _JsonBody:
    first = data.lstrip()[:1]
    if first == b"<":
        text = "The upstream answered with a web page instead of a model's answer; check its base URL."
        raise ModelError(ErrorCode.SERVER_ERROR, text)
    return _JsonBody() if first == b"{" else SseParser()
