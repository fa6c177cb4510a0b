"""One answer of an upstream while it streams: reads the network, splits, translates, keeps the time-outs.

Whatever the server calls its content, its first byte tells: `{` begins a whole JSON answer (the server does not
stream), `<` an HTML page of something that is no model server; all else is Server-Sent Events.
"""

import asyncio

import aiohttp

from threadmill.adapters.models.chunk import Translator
from threadmill.adapters.models.complaint import Transient
from threadmill.adapters.models.splitter import EventTooLarge, SseSplitter
from threadmill.adapters.models.upstream import Patience
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError, Piece

MAX_WHOLE_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that was not streamed."""

LINGER = 0.05
"""Seconds a finished answer is waited for to end its HTTP body, so that the connection can be used again."""


class Answer:
    """Ask `next` until it gives nothing; `close` in any case. One reader."""

    def __init__(self, response: aiohttp.ClientResponse, model: str, patience: Patience) -> None:
        self._response: aiohttp.ClientResponse = response
        self._patience: Patience = patience
        self._splitter: SseSplitter = SseSplitter()
        self._translator: Translator = Translator(model)
        self._limit: float = patience.first_token
        self._deadline: float = asyncio.get_running_loop().time() + patience.first_token
        self._ended: bool = False

    async def next(self) -> list[Piece]:
        """The pieces of the next network read that holds any; empty at the end. Raises ModelError."""
        while not self._ended:
            if pieces := await self._advance():
                self._limit = self._patience.between_tokens
                return pieces
        if self._translator.trouble is not None:
            raise self._translator.trouble
        return []

    def close(self) -> None:
        """Close the connection at once, unless the answer was read to its end: then it is used again."""
        self._response.close()

    async def _advance(self) -> list[Piece]:
        try:
            data = await self._read()
            events = self._splitter.feed(data) if data else self._splitter.end()
        except EventTooLarge:
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream sent an event that is too large.") from None
        if events:
            self._deadline = asyncio.get_running_loop().time() + self._limit
        pieces = self._translator.read(events)
        if data and not self._translator.done and self._translator.trouble is None:
            return pieces
        self._ended = True
        if self._translator.trouble is None:
            pieces += self._translator.end()
        return pieces

    async def _read(self) -> bytes:
        """The next bytes, b"" at the end. A stream that finished and then breaks has just ended."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._response.content.readany()
        except TimeoutError:
            raise self._too_slow() from None
        except (aiohttp.ClientError, OSError):
            if self._translator.finished:
                return b""
            raise Transient(ErrorCode.SERVER_ERROR, "The upstream's answer was cut off.") from None

    def _too_slow(self) -> ModelError:
        return ModelError(ErrorCode.SERVER_ERROR, f"The upstream sent nothing for {self._limit:g} seconds.")
