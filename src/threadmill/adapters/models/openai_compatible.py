"""One upstream that speaks Chat Completions, streamed over aiohttp (design 3.2 and 3.11).

Hot path: network read -> Splitter -> msgspec -> pieces; one batch for each read, nothing awaited in between.
Retries happen before the first piece only: what a client has seen is never said twice.
"""

import asyncio
import email.utils
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec

from threadmill.adapters.models import body, failure
from threadmill.adapters.models.chunk import Calls, decode, pieces
from threadmill.adapters.models.splitter import EventTooLarge, Splitter
from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import Finish, ModelError, ModelInfo, ModelRequest, Piece

OK = 200
MAX_BODY = 8 * 1024 * 1024
"""Bytes read of an answer that is not a stream."""

LIST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, until the first piece, and between two pieces."""

    connect: float = 10
    first: float = 120
    between: float = 60


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where an upstream is and how to talk to it."""

    name: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    max_tokens_field: str = "max_completion_tokens"
    timeouts: Timeouts = field(default_factory=Timeouts)
    attempts: int = 3


class Retry(Exception):
    """Try again after `after` seconds, if the upstream said so."""

    def __init__(self, error: ModelError, after: float | None = None) -> None:
        super().__init__()
        self.error: ModelError = error
        self.after: float | None = after


class OpenAICompatible:
    """See the port `Model`. `sleep` is asyncio's, or a test's."""

    def __init__(self, settings: UpstreamSettings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._settings: UpstreamSettings = settings
        self._sleep: Callable[[float], Awaitable[None]] = sleep
        self._session: aiohttp.ClientSession | None = None
        self._listed: tuple[float, Sequence[ModelInfo]] = (float("-inf"), ())

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            headers = {"Accept": "text/event-stream, application/json", "Content-Type": "application/json"}
            if settings.api_key:
                headers["Authorization"] = f"Bearer {settings.api_key}"
            context = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
            self._session = aiohttp.ClientSession(
                headers=headers,
                connector=aiohttp.TCPConnector(limit=0, ssl=context, keepalive_timeout=60),
                # Every wait is bounded by ours, which know the difference between a first token and the next.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.timeouts.connect),
                trust_env=True,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port."""
        sent = body.build(request, request.model, self._settings.max_tokens_field)
        for attempt in range(1, self._settings.attempts + 1):
            try:
                async with self._answer(sent) as response:
                    async for batch in self._read(response):
                        yield batch
                    return
            except Retry as retry:
                if attempt == self._settings.attempts:
                    raise retry.error from None
                await self._sleep(pause(attempt, retry.after))

    @asynccontextmanager
    async def _answer(self, sent: bytes) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """The response of status 200, closed at once when left: an unread stream is never drained."""
        response = await self._ask(sent)
        try:
            if response.status != OK:
                error = failure.from_status(
                    response.status, await response.content.read(MAX_BODY), self._settings.api_key
                )
                if response.status in failure.RETRIED:
                    now = time.time()  # noqa: TID251 - a date in a header is wall time
                    raise Retry(error, retry_after(response.headers.get("Retry-After"), now))
                raise error
            yield response
        finally:
            response.close()

    async def _ask(self, sent: bytes) -> aiohttp.ClientResponse:
        url = f"{self._settings.base_url.rstrip('/')}/chat/completions"
        try:
            async with asyncio.timeout(self._settings.timeouts.first):
                return await self._open().post(url, data=sent, allow_redirects=False)
        except TimeoutError:
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream did not answer in time.") from None
        except aiohttp.ClientError as error:
            raise Retry(self._unreachable(error)) from None

    def _unreachable(self, error: aiohttp.ClientError) -> ModelError:
        return ModelError(ErrorCode.SERVER_ERROR, f"The upstream cannot be reached ({type(error).__name__}).")

    async def _read(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Sequence[Piece], None]:
        kind = response.content_type
        if kind == "text/html":
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream answered with a web page; check its base URL.")
        if kind == "application/json":
            yield _batch([await response.content.read(MAX_BODY)], Calls(), self._settings.api_key)
            return
        async for batch in self._read_events(response):
            yield batch

    async def _read_events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Sequence[Piece], None]:
        splitter, calls, secret = Splitter(), Calls(), self._settings.api_key
        said = finished = False
        content, timeouts, loop = response.content, self._settings.timeouts, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeouts.first) as patience:
                while received := await content.readany():
                    batch = _batch(splitter.feed(received), calls, secret)
                    if batch:
                        yield batch
                        said = True
                        finished = finished or _finishes(batch)
                        patience.reschedule(loop.time() + timeouts.between)
            if batch := _batch(splitter.end(), calls, secret):
                yield batch
                finished = finished or _finishes(batch)
        except EventTooLarge:
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream sent an event that is too large.") from None
        except TimeoutError:
            raise ModelError(ErrorCode.SERVER_ERROR, "The upstream stopped answering.") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            if not said:
                raise Retry(self._unreachable(aiohttp.ClientError(str(error)))) from None
            raise ModelError(ErrorCode.SERVER_ERROR, failure.CUT_OFF) from None
        if not finished:
            raise ModelError(ErrorCode.SERVER_ERROR, failure.CUT_OFF)

    async def list(self) -> Sequence[ModelInfo]:
        """See the port. An upstream that does not answer offers nothing; its list is asked for once a minute."""
        listed_at, listed = self._listed
        if time.monotonic() - listed_at < LIST_SECONDS:
            return listed
        try:
            listed = [_info(item) for item in await self._models()]
        except ModelError:
            listed = []
        self._listed = (time.monotonic(), listed)
        return listed

    async def _models(self) -> "Sequence[_Listed]":
        url = f"{self._settings.base_url.rstrip('/')}/models"
        try:
            async with asyncio.timeout(self._settings.timeouts.connect), self._open().get(url) as response:
                found = await response.content.read(MAX_BODY)
        except (TimeoutError, aiohttp.ClientError) as error:
            text = f"The upstream '{self._settings.name}' cannot be reached ({type(error).__name__})."
            raise ModelError(ErrorCode.SERVER_ERROR, text) from None
        if response.status != OK:
            raise failure.from_status(response.status, found, self._settings.api_key)
        try:
            return msgspec.json.decode(found, type=_Listing).data
        except msgspec.MsgspecError:
            return ()

    def describe(self, model: str) -> ModelInfo:
        """See the port."""
        return ModelInfo(model, 0, self._settings.name, None)

    async def ready(self) -> None:
        """See the port."""
        await self._models()


class _Listed(msgspec.Struct):
    id: str
    created: int = 0
    owned_by: str = "upstream"


class _Listing(msgspec.Struct):
    data: list[_Listed]


def _info(item: _Listed) -> ModelInfo:
    return ModelInfo(item.id, item.created, item.owned_by)


def _batch(events: Sequence[bytes], calls: Calls, secret: str | None) -> list[Piece]:
    """The pieces of the events of one network read."""
    batch: list[Piece] = []
    for event in events:
        if event == b"[DONE]":
            continue
        try:
            chunk = decode(event)
        except msgspec.MsgspecError:
            raise ModelError(
                ErrorCode.SERVER_ERROR, "The upstream sent something that is not a chat completion."
            ) from None
        if chunk.error and bytes(chunk.error) != b"null":
            raise failure.from_stream(bytes(chunk.error), secret)
        batch.extend(pieces(chunk, calls))
    return batch


def _finishes(batch: Sequence[Piece]) -> bool:
    return any(isinstance(piece, Finish) for piece in batch)


def pause(attempt: int, after: float | None) -> float:
    """Seconds before the next attempt: what the upstream asked for (at most 30), else 0.5, 1, 2 … with jitter."""
    if after is not None:
        return min(max(after, 0.0), 30.0)
    return 0.5 * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter needs no secrecy


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds a Retry-After header asks for, given as seconds or as a date."""
    if not header:
        return None
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(header).timestamp() - now
    except ValueError:
        return None
