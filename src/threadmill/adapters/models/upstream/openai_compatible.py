"""The Model port on one Chat Completions server: asks, asks again before the first piece, and says what went wrong."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, MutableSequence, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import aiohttp
import msgspec

from threadmill.adapters.models.context_windows import context_window_of
from threadmill.adapters.models.upstream.chat_request import (
    NO_ADAPTATION,
    OPTIONAL,
    Adaptation,
    encode_request,
    is_large,
)
from threadmill.adapters.models.upstream.chunk_decoder import ChunkDecoder
from threadmill.adapters.models.upstream.connection import MAX_ERROR_BYTES, Connection, read_bounded
from threadmill.adapters.models.upstream.encoded_request import EncodedRequest
from threadmill.adapters.models.upstream.known_models import KnownModels
from threadmill.adapters.models.upstream.model_list import MAX_BYTES, parse_model_list
from threadmill.adapters.models.upstream.refusals import (
    MemberRefused,
    adapted,
    explained,
    explained_role,
    refused_member,
)
from threadmill.adapters.models.upstream.response_stream import ResponseStream
from threadmill.adapters.models.upstream.retry import RetryPolicy
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.adapters.models.upstream.slots import Slots
from threadmill.adapters.models.upstream.upstream_error import (
    TransientError,
    UpstreamErrorBody,
    parse_error,
    to_model_error,
)
from threadmill.engine.ports.model import FailedAttempts, ModelError, ModelInfo, ModelRequest, Piece
from threadmill.engine.ports.pass_through import PassedCall

LOG = logging.getLogger("threadmill.models")

MAX_ADAPTATIONS = 1_000
"""Models whose refusals are remembered."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class OpenAICompatible:
    """One upstream. `windows` are context windows by model name, where our own table is wrong or silent.

    `report_slots` is told how many requests are answered and how many wait, where the upstream answers few at once.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        windows: Mapping[str, int] | None = None,
        retry_policy: RetryPolicy | None = None,
        report_slots: Callable[[int, int], None] = lambda _answering, _waiting: None,
    ) -> None:
        self._settings: UpstreamSettings = settings
        self._windows: Mapping[str, int] = windows or {}
        self._retry_policy: RetryPolicy = retry_policy or RetryPolicy()
        self._connection: Connection = Connection(settings)
        self._known: KnownModels = KnownModels(self._list, self._retry_policy.monotonic)
        self._adaptations: dict[str, Adaptation] = {}
        self._slots: Slots | None = Slots(settings.max_concurrent, report_slots) if settings.max_concurrent else None

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """See the port. One batch per network read. Where places are few it waits for one, without a time-out."""
        return self._stream(request) if self._slots is None else self._stream_in(self._slots, request)

    async def _stream_in(self, slots: Slots, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        async with slots.hold(request.project), aclosing(self._stream(request)) as batches:
            async for batch in batches:
                yield batch

    async def _stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        try:
            failed: MutableSequence[str] = []
            answer, batch = await self._begin(request, failed)
            if failed:
                batch = [FailedAttempts(tuple(failed)), *batch]
            try:
                while batch:
                    yield batch
                    batch = await answer.next()
            finally:
                answer.close()
        except ModelError as error:
            raise self._safe(error) from None

    async def list(self) -> Sequence[ModelInfo]:
        """The upstream's models, asked for at most once a minute. Raises ModelError."""
        return await self._known.fresh()

    async def last_listed(self, patience: float | None = None) -> Sequence[ModelInfo]:
        """The models as far as they are known, asked for again in the background; only the very first answer is waited for."""
        return await self._known.last(patience)

    async def _list(self) -> Sequence[ModelInfo]:
        found = parse_model_list(await self._ask_models(), self._settings.name)
        return [self._with_window(info) for info in found]

    @property
    def name(self) -> str:
        """The operator's name for it."""
        return self._settings.name

    @property
    def is_listed(self) -> bool:
        """Whether the models were ever listed."""
        return self._known.is_listed

    @property
    def listed(self) -> Sequence[str]:
        """The names of the last list; asks nobody."""
        return tuple(self._known.by_id)

    def learned(self, model: str) -> Sequence[str]:
        """What a model was found to refuse and how it is asked since, in words."""
        adaptation = self._adaptations.get(model, NO_ADAPTATION)
        told = [f"it refuses {member} and is asked without it" for member in sorted(adaptation.omit)]
        if adaptation.swaps_token_limit:
            other = "max_completion_tokens" if self._settings.max_tokens_field == "max_tokens" else "max_tokens"
            told.append(f'it wants the token limit as {other}: max_tokens_field = "{other}" saves a request')
        return told

    def has(self, model: str) -> bool:
        """Whether the last list has a model of that name; asks nobody."""
        return model in self._known.by_id

    @asynccontextmanager
    async def pass_on(
        self, call: PassedCall, body: bytes | AsyncIterator[bytes] | None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The answer to somebody else's call; where places are few it takes one. Raises ModelError."""
        async with AsyncExitStack() as stack:
            if self._slots is not None:
                await stack.enter_async_context(self._slots.hold(call.project))
            try:
                response = await self._connection.forward(call, body)
            except ModelError as error:
                raise self._safe(error) from None
            stack.callback(response.close)
            yield response

    def redact(self, text: str) -> str:
        """`text` without this upstream's secrets."""
        return self._settings.redact(text)

    def get_info(self, model: str) -> ModelInfo:
        """What the last list, the settings and our table know; asks nobody."""
        listed = self._known.by_id.get(model)
        return listed or self._with_window(ModelInfo(model, 0, self._settings.name))

    async def ready(self) -> None:
        """The upstream answers and takes our key. That it cannot list models is no fault. Raises ModelError."""
        await self._ask_models()

    async def aclose(self) -> None:
        """Close all connections; streams that still run are cut off."""
        await self._known.aclose()
        await self._connection.aclose()

    async def _begin(
        self, request: ModelRequest, failed: MutableSequence[str]
    ) -> tuple[ResponseStream, Sequence[Piece]]:
        """The answer and its first pieces. After those nothing is tried again: they may have been seen.

        Why it was asked again is added to `failed`.
        """
        attempt = 1
        while True:
            adaptation = self._adaptations.get(request.model, NO_ADAPTATION)
            try:
                return await self._attempt(await self._encoded(request, adaptation), request)
            except MemberRefused as error:
                if adaptation == self._adaptations.get(request.model, NO_ADAPTATION):
                    self._learn(request.model, adaptation, error)
                failed.append(self._safe(error).message)
                continue
            except TransientError as error:
                if attempt >= self._settings.timeouts.attempts:
                    raise
                pause = self._retry_policy.backoff(attempt, error.after)
                failed.append(self._safe(error).message)
                LOG.warning("%s Asking again in %.1f s.", failed[-1], pause)
            await self._retry_policy.sleep(pause)
            attempt += 1

    async def _encoded(self, request: ModelRequest, adaptation: Adaptation) -> EncodedRequest:
        if is_large(request):
            return await asyncio.to_thread(encode_request, request, self._settings, adaptation)
        return encode_request(request, self._settings, adaptation)

    async def _attempt(self, body: EncodedRequest, request: ModelRequest) -> tuple[ResponseStream, Sequence[Piece]]:
        timeouts = self._settings.timeouts
        first = timeouts.first_token
        deadline = None if first is None else asyncio.get_running_loop().time() + first
        response = await self._connection.post_request("chat/completions", body, first)
        try:
            if response.status >= 300:
                raise await self._refusal(response, request.model, body.members)
            answer = ResponseStream(response, self._decoder(request), timeouts, deadline)
            return answer, await answer.next()
        except BaseException:
            response.close()
            raise

    async def _refusal(self, response: aiohttp.ClientResponse, model: str, sent: bytes) -> ModelError:
        """The failure, with the member of the request that it is about, if it is about one."""
        error, body = await self._failure(response, model)
        if type(error) is not ModelError:
            return error
        members = _members(sent).keys() & OPTIONAL
        if (member := refused_member(body, members)) is not None:
            return explained(error, member, self._settings.name)
        return explained_role(error, body.status, body.message)

    def _learn(self, model: str, tried: Adaptation, error: MemberRefused) -> None:
        """Ask this model otherwise from now on. Raises the error where the request would mean another thing."""
        adaptation = adapted(tried, error.member)
        if adaptation is None or len(self._adaptations) >= MAX_ADAPTATIONS:
            raise error
        self._adaptations[model] = adaptation
        LOG.warning(
            "The model '%s' of the upstream '%s' refuses %s; it is asked without from now on.",
            model,
            self._settings.name,
            error.member,
        )

    def _decoder(self, request: ModelRequest) -> ChunkDecoder:
        tools = [tool.name for tool in request.tools]
        return ChunkDecoder(request.model, tools, hides_thinking=self._settings.reasoning == "hide")

    async def _failure(self, response: aiohttp.ClientResponse, model: str) -> tuple[ModelError, UpstreamErrorBody]:
        body = parse_error(await self._body(response, MAX_ERROR_BYTES), response.status)
        after = self._retry_policy.parse_retry_after(response.headers.get("Retry-After"))
        if response.status in (401, 403):
            LOG.error("The upstream '%s' refused this server's API key.", self._settings.name)
        return to_model_error(body, model, after), body

    async def _ask_models(self) -> bytes:
        try:
            response = await self._connection.get("models", self._settings.timeouts.ready)
            try:
                if response.status in (401, 403) or response.status >= 500:
                    raise (await self._failure(response, ""))[0]
                return await self._body(response, MAX_BYTES)
            finally:
                response.close()
        except ModelError as error:
            raise self._safe(error) from None

    async def _body(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """What can be had of a body in short time; an error must not take longer to tell because of its text."""
        try:
            async with asyncio.timeout(self._settings.timeouts.ready):
                return await read_bounded(response, limit)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return b""

    def _with_window(self, info: ModelInfo) -> ModelInfo:
        said = None if info.id in self._windows else info.context_window
        window = said or context_window_of(info.id, self._windows)
        return ModelInfo(info.id, info.created, info.owned_by, window, self._settings.name)

    def _safe(self, error: ModelError) -> ModelError:
        """The error without this upstream's secrets."""
        error.message = self._settings.redact(error.message)
        error.args = (error.message,)
        return error
