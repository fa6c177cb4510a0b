"""The PassThrough port: a call finds its upstream by the model it names, gets that upstream's key, and comes back as it is.

Nothing is held: a stream's bytes are handed on as they come, and the network's own flow control holds an upstream back
whose reader is slow. Of an answer's bytes only the last are looked at once more, for the tokens that were spent.
"""

import asyncio
import fnmatch
import re
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import msgspec

from threadmill.adapters.models.rehearsal.chat_completions import answer_chat
from threadmill.adapters.models.router import ModelRouter, UpstreamRoute
from threadmill.adapters.models.upstream.connection import MAX_ERROR_BYTES, read_bounded
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.domain.error import InvalidRequest, NotFound, Unavailable
from threadmill.domain.ids import ProjectId
from threadmill.domain.outcome import Usage
from threadmill.engine.ports.metrics import Metrics
from threadmill.engine.ports.model import ModelError
from threadmill.engine.ports.pass_through import PassedAnswer, PassedBody, PassedCall

CHAT = "chat/completions"

LARGE = 64 * 1024
"""Bytes of a body that is not looked at in the event loop."""

TAIL = 2048
"""Bytes at the end of an answer in which its usage is looked for."""

MAX_RESPONSES = 10_000
"""Responses whose upstream is remembered."""

ANSWER_HEADERS = re.compile(
    r"content-type|content-length|content-disposition|cache-control|retry-after|retry-after-ms|x-should-retry"
    r"|x-ratelimit-.*|openai-model|openai-organization",
    re.IGNORECASE,
)
"""Headers of an answer that come back; the others are between this server and the upstream."""

_PROMPT = re.compile(rb'"(?:prompt|input)_tokens"\s*:\s*(\d{1,12})')
_COMPLETION = re.compile(rb'"(?:completion|output)_tokens"\s*:\s*(\d{1,12})')
_RESPONSE_ID = re.compile(rb'"id"\s*:\s*"(resp_[^"\s]{1,200})"')

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class UpstreamPassThrough:
    """See the port. `router` knows the upstreams; without any only `rehearsal` answers chats."""

    def __init__(self, router: ModelRouter, metrics: Metrics) -> None:
        self._router: ModelRouter = router
        self._metrics: Metrics = metrics
        self._responses: OrderedDict[str, tuple[ProjectId, UpstreamRoute]] = OrderedDict()

    @asynccontextmanager
    async def open(self, call: PassedCall) -> AsyncGenerator[PassedAnswer]:
        """See the port."""
        try:
            route, model = await self._find(call)
            if route is None:
                yield self._counted(call, await self._rehearsed(call))
                return
            body = await _sent(call, model)
            began = time.monotonic()
            async with route.upstream.pass_on(_announced(call, body), _stream_of(body)) as response:
                self._metrics.time_to_first_token(time.monotonic() - began)
                yield self._counted(call, await self._answer(call, route, response))
        except ModelError as error:
            raise Unavailable(error.message) from None

    async def _find(self, call: PassedCall) -> tuple[UpstreamRoute | None, str | None]:
        known = self._responses.get(call.path.split("/")[1]) if call.path.startswith("responses/") else None
        if known is not None:
            if known[0] != call.project:
                raise NotFound("No such response for this key.")
            return known[1], None
        try:
            route, model = await self._router.find(call.model)
        except ModelError as error:
            raise NotFound(error.message, param="model", code="model_not_found") from None
        if route is None and call.path != CHAT:
            raise NotFound(f"The built-in model answers /v1/{CHAT} only, not /v1/{call.path}.", param="model")
        if route is not None and not any(fnmatch.fnmatchcase(call.path, pattern) for pattern in route.passes_on):
            text = f"/v1/{call.path} is not passed on to the upstream of this model: its setting pass_through leaves it out."
            raise NotFound(text, code="unknown_url")
        return route, model

    async def _rehearsed(self, call: PassedCall) -> "_Answer":
        model = self._router.rehearsal
        if model is None or call.body is None:
            raise InvalidRequest("A chat needs a body.")
        status, kind, chunks = await answer_chat(model, call.body.head)
        return _Answer(status, [("content-type", kind)], chunks)

    async def _answer(self, call: PassedCall, route: UpstreamRoute, response: aiohttp.ClientResponse) -> "_Answer":
        encoded = "content-encoding" in response.headers
        headers = [
            (name, value)
            for name, value in response.headers.items()
            if ANSWER_HEADERS.fullmatch(name) and not (encoded and name.lower() == "content-length")
        ]
        if response.status >= 400:
            # It may repeat the key it was given; no error is long.
            body = await _error_body(route.upstream, response)
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            return _Answer(response.status, headers, _one(body))
        return _Answer(response.status, headers, self._watched(call, route, response))

    async def _watched(
        self, call: PassedCall, route: UpstreamRoute, response: aiohttp.ClientResponse
    ) -> AsyncGenerator[bytes]:
        tail = b""
        try:
            while data := await response.content.readany():
                if not tail and call.path == "responses":
                    self._remember(data, call.project, route)
                tail = (tail + data)[-TAIL:] if len(data) < TAIL else data[-TAIL:]
                yield data
        except (aiohttp.ClientError, OSError):
            raise Unavailable("The upstream broke off its answer.") from None
        finally:
            self._spend(tail)

    def _remember(self, data: bytes, project: ProjectId, route: UpstreamRoute) -> None:
        """Which upstream made a response, for the calls that name it by its id."""
        if (found := _RESPONSE_ID.search(data[:LARGE])) is not None:
            self._responses[found[1].decode("ascii", "replace")] = project, route
            if len(self._responses) > MAX_RESPONSES:
                self._responses.popitem(last=False)

    def _spend(self, tail: bytes) -> None:
        prompt, completion = _PROMPT.findall(tail), _COMPLETION.findall(tail)
        if prompt or completion:
            self._metrics.tokens_used(Usage(int(prompt[-1]) if prompt else 0, int(completion[-1]) if completion else 0))

    def _counted(self, call: PassedCall, answer: "_Answer") -> "_Answer":
        self._metrics.call_passed_on("responses" if call.path.startswith("responses") else call.path, answer.status)
        return answer


@dataclass(slots=True)
class _Answer:
    """See the port."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: AsyncGenerator[bytes]

    def chunks(self) -> AsyncGenerator[bytes]:
        """See the port."""
        return self.body


async def _sent(call: PassedCall, model: str | None) -> PassedBody | None:
    """The body under the model's own name."""
    body = call.body
    if body is None or model is None or model == call.model:
        return body
    if body.rest is None and body.model_at is None:
        small = len(body.head) < LARGE
        head = _renamed(body.head, model) if small else await asyncio.to_thread(_renamed, body.head, model)
        return PassedBody(head, length=len(head))
    if body.model_at is None:
        return body
    start, end = body.model_at
    head = body.head[:start] + model.encode() + body.head[end:]
    length = None if body.length is None else body.length + len(head) - len(body.head)
    return replace(body, head=head, length=length)


def _renamed(body: bytes, model: str) -> bytes:
    members = _decode_members(body)
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(members)


def _announced(call: PassedCall, body: PassedBody | None) -> PassedCall:
    """The call with the length of its body, where that is known: some servers take no chunked form."""
    if body is None or body.rest is None or body.length is None:
        return call
    return replace(call, headers={**call.headers, "Content-Length": str(body.length)})


def _stream_of(body: PassedBody | None) -> bytes | AsyncIterator[bytes] | None:
    if body is None:
        return None
    return body.head if body.rest is None else _chained(body.head, body.rest)


async def _chained(head: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield head
    async for piece in rest:
        yield piece


async def _error_body(upstream: OpenAICompatible, response: aiohttp.ClientResponse) -> bytes:
    try:
        body = await read_bounded(response, MAX_ERROR_BYTES)
    except (aiohttp.ClientError, OSError):
        body = b""
    return upstream.redact(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


async def _one(body: bytes) -> AsyncGenerator[bytes]:
    yield body
