"""The app's other calls: chat completions, embeddings, images and the like go on to the upstream (ADR-0022)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import msgspec
from multipart import parse_options_header  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.form_model import find_model
from threadmill.api.http import (
    ApiContext,
    BodyTooLarge,
    announced_length,
    caller_project,
    hold_room,
    is_large,
    joined,
    read_body,
)
from threadmill.api.relay import Relay
from threadmill.domain.error import InvalidRequest, NotFound
from threadmill.engine.ports.pass_through import PassedBody, PassedCall
from threadmill.wire.request.json_text import has_more_values

FORM_HEAD = 256 * 1024
"""Bytes of a form in which its model is looked for; behind them it goes to the default upstream."""

REQUEST_HEADERS = (
    "accept",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "user-agent",
    "x-client-request-id",
)
"""Headers of a caller that go out. Never its key, its cookies, its address."""

POSTS = (
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "responses/{response_id}/cancel",
    "moderations",
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
)
OTHERS = {"responses/{response_id}": ["GET", "DELETE"], "responses/{response_id}/input_items": ["GET"]}

_FORBIDDEN_ID = frozenset("/\\?#%")


MAX_MODEL = 64 * 1024
"""Bytes of a model's name as it is written: all else of a body is skipped, which is quick, not decoded."""


MAX_VALUES = 1_000_000
"""Values of a body: what is skipped takes time too, 70 ms for the fifteen million that 30 MB may have."""


class _Naming(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Naming).decode
_decode_name = msgspec.json.Decoder(str | None).decode


class PassThroughRoutes:
    """A fixed list: nothing else of an upstream is reached through this server."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them, under Azure's paths of deployments too."""
        for path in POSTS:
            router.add_route(f"/v1/{path}", self.pass_on, methods=["POST"])
            router.add_route(f"/v1/deployments/{{deployment}}/{path}", self.pass_on, methods=["POST"])
        for path, methods in OTHERS.items():
            router.add_route(f"/v1/{path}", self.pass_on, methods=methods)

    async def pass_on(self, request: Request) -> Response:
        """One call."""
        passing = self._context.engine.ports.pass_through
        if passing is None:
            raise NotFound("This server passes nothing on.")
        uploaded = asyncio.Event()
        body, model = await self._body(request, uploaded) if request.method == "POST" else (None, None)
        if body is None or body.rest is None:
            uploaded.set()
        headers = {name: value for name in REQUEST_HEADERS if (value := request.headers.get(name)) is not None}
        deployment: str | None = request.path_params.get("deployment")
        call = PassedCall(
            request.method,
            _path(request),
            caller_project(request),
            model or deployment,
            request.url.query,
            headers,
            body,
        )
        return Relay(passing.open(call), uploaded)

    async def _body(self, request: Request, uploaded: asyncio.Event) -> tuple[PassedBody, str | None]:
        kind, options = cast(
            "tuple[str, dict[str, str]]", parse_options_header(request.headers.get("content-type", ""))
        )
        if kind == "multipart/form-data":
            return await self._form(request, options.get("boundary", ""), uploaded)
        async with hold_room(self._context, request):
            pieces = await read_body(self._context, request)
            if not any(pieces):
                return PassedBody(b"", length=0), None
            body, model = await asyncio.to_thread(_named, pieces) if is_large(pieces) else _named(pieces)
        return PassedBody(body, length=len(body)), model

    async def _form(self, request: Request, boundary: str, uploaded: asyncio.Event) -> tuple[PassedBody, str | None]:
        if request.scope["state"].get("cross_origin"):
            # Its browser has not asked whether it may: a form needs no preflight (ADR-0021).
            raise InvalidRequest("Pages of other origins may not send forms here.", code="unsupported_content_type")
        length, limit = announced_length(request), self._context.max_body_bytes
        if length is not None and length > limit:
            raise _too_large(limit)
        stream = _bounded(request, limit, uploaded)
        head = b""
        place: tuple[int, int] | None = None
        async for piece in stream:
            head += piece
            place = find_model(head, boundary.encode("latin-1", "replace"))
            if place is not None or len(head) >= FORM_HEAD:
                break
        model = None if place is None else head[place[0] : place[1]].decode("utf-8", "replace")
        return PassedBody(head, stream, place, length), model


def _named(pieces: list[bytes]) -> tuple[bytes, str | None]:
    """The body, and the model it names."""
    body = joined(pieces)
    if has_more_values(body, MAX_VALUES):
        raise InvalidRequest(f"Your request body has more than {MAX_VALUES} values.", code="invalid_json")
    try:
        name = _decode(body).model
        if len(name) > MAX_MODEL:
            raise InvalidRequest("The name of your request's model is too long.", param="model")
        return body, _decode_name(name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(
            "We could not parse the JSON body of your request: an object with a model was expected."
        ) from None


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"Your form is too large. The maximum is {limit} bytes.", code="request_too_large")


async def _bounded(request: Request, limit: int, uploaded: asyncio.Event) -> AsyncGenerator[bytes]:
    """The form as it comes. Raises BodyTooLarge, ClientDisconnect."""
    left = limit
    try:
        async for piece in cast("AsyncIterator[bytes]", request.stream()):
            left -= len(piece)
            if left < 0:
                raise _too_large(limit)
            if piece:
                yield piece
    except ClientDisconnect:
        raise ConnectionResetError("The caller left.") from None
    finally:
        uploaded.set()


def _path(request: Request) -> str:
    """Behind `/v1/`, without a deployment; ids as they are."""
    response: str | None = request.path_params.get("response_id")
    if response is not None and (_FORBIDDEN_ID & set(response) or response in (".", "..")):
        raise NotFound("No such response.")
    path: str = request.scope["path"].removeprefix("/v1/")
    return path.split("/", 2)[2] if path.startswith("deployments/") else path
