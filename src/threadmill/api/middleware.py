"""Plain ASGI in front of the routes: request id, Azure paths, browsers, keys, beta header, and the service's response headers.

It is passed by every request, so it does a few dictionary look-ups and no more; streams pass through untouched.
"""

import os
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from threadmill.api.auth import ApiKeys
from threadmill.api.browser import BrowserPolicy, Headers, is_cross_origin, is_local, is_preflight
from threadmill.api.routes.system import UNASKED
from threadmill.domain.error import InvalidRequest, ThreadmillError
from threadmill.wire.error import error_response

OPEN_PATHS = frozenset({"/healthz", "/readyz", *UNASKED})
METRICS = "/metrics"

BETA_V1_REFUSED = (
    "The v1 Assistants API has been deprecated. Please use the v2 API by setting the header "
    "'OpenAI-Beta: assistants=v2', or leave the header out."
)


class ApiMiddleware:
    """Wraps the app. Puts `project`, `request_id` and `cross_origin` into the scope's state.

    `metrics_open`: /metrics is shown to everybody who may ask at all.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys, browsers: BrowserPolicy, *, metrics_open: bool = False) -> None:
        self._app: ASGIApp = app
        self._keys: ApiKeys = keys
        self._browsers: BrowserPolicy = browsers
        self._metrics_open: bool = metrics_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = f"req_{os.urandom(16).hex()}"
        headers: Headers = dict(scope["headers"])
        cors = self._browsers.cors_headers(headers) if b"origin" in headers else []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = int((time.perf_counter() - began) * 1000)
                message["headers"] += [
                    (b"openai-version", b"2020-10-01"),
                    (b"x-request-id", request_id.encode()),
                    (b"openai-processing-ms", b"%d" % took),
                    (b"x-content-type-options", b"nosniff"),
                    *cors,
                ]
            await send(message)

        try:
            self._browsers.check(scope, headers)
            if is_preflight(scope, headers):
                answer = self._browsers.preflight(headers)
                await send({"type": "http.response.start", "status": 204, "headers": answer})
                await send({"type": "http.response.body", "body": b""})
                return
            self._authenticate(scope, headers, request_id)
            # A stream's deltas go straight to the server: the wrappers in between have done their work with its start.
            scope["state"]["send"] = send
        except ThreadmillError as error:
            status, body = error_response(error)
            answer = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            await send_with_headers({"type": "http.response.start", "status": status, "headers": answer})
            await send({"type": "http.response.body", "body": body})
            return
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            # It knows the request's scope: as a circle each request would be left for the garbage collector, and with
            # a thousand clients that poll a collection took 130 ms.
            del scope["state"]["send"]

    def _authenticate(self, scope: Scope, headers: Headers, request_id: str) -> None:
        _serve_azure_path(scope)
        _drop_final_slash(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["cross_origin"] = is_cross_origin(headers)
        path: str = scope["path"]
        if path in OPEN_PATHS or (path == METRICS and (self._metrics_open or is_local(scope, headers))):
            return
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        state["project"] = self._keys.authenticate(authorization, headers.get(b"api-key", b"").decode("latin-1"))
        if b"assistants=v1" in headers.get(b"openai-beta", b""):
            raise InvalidRequest(BETA_V1_REFUSED, code="invalid_beta")


def _serve_azure_path(scope: Scope) -> None:
    """`/openai/threads?api-version=…` is `/v1/threads` (design.md 1)."""
    path: str = scope["path"]
    if not path.startswith("/openai/"):
        return
    rest = path.removeprefix("/openai").removeprefix("/v1")
    scope["path"] = f"/v1{rest}"
    scope["raw_path"] = scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    if b"api-version" in query:
        pairs = [pair for pair in query.split(b"&") if not pair.startswith(b"api-version=")]
        scope["query_string"] = b"&".join(pairs)


def _drop_final_slash(scope: Scope) -> None:
    """`/v1/threads/` is `/v1/threads`. Never a redirect: its address would be made of what the caller says we are."""
    path: str = scope["path"]
    if path.startswith("/v1/") and path.endswith("/"):
        scope["path"] = path[:-1]
