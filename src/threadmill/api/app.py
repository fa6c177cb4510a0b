"""build_app(): engine -> ASGI. Routes, middleware and error handlers in one screen."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from threadmill.api.auth import ApiKeys
from threadmill.api.base_url import meant_path
from threadmill.api.browser import BrowserPolicy
from threadmill.api.http import ApiContext, BodyTooLarge
from threadmill.api.middleware import ApiMiddleware
from threadmill.api.routes.assistants import AssistantRoutes
from threadmill.api.routes.file_batches import FileBatchRoutes
from threadmill.api.routes.files import FileRoutes
from threadmill.api.routes.messages import MessageRoutes
from threadmill.api.routes.pass_through import PassThroughRoutes
from threadmill.api.routes.runs import RunRoutes
from threadmill.api.routes.store_files import StoreFileRoutes
from threadmill.api.routes.system import SystemRoutes
from threadmill.api.routes.threads import ThreadRoutes
from threadmill.api.routes.uploads import UploadRoutes
from threadmill.api.routes.vector_stores import VectorStoreRoutes
from threadmill.domain.error import ThreadmillError
from threadmill.wire.error import crash_response, error_response, unknown_url, wrong_method

LOG = logging.getLogger("threadmill.api")

NOT_FOUND, WRONG_METHOD, TOO_LARGE, CLIENT_GONE, UNAVAILABLE = 404, 405, 413, 499, 503

RETRY_HEADERS = {"retry-after": "1", "retry-after-ms": "250"}
"""Sent with 503: nothing was done, so clients may repeat the request. SDKs prefer the milliseconds."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: keys, pages, and whether /metrics needs a key."""

    keys: ApiKeys
    browsers: BrowserPolicy
    metrics_open: bool = False


def build_app(context: ApiContext, access: Access, metrics: Callable[[], bytes]) -> ASGIApp:
    """The whole API. `metrics` gives Prometheus' text."""
    app = Starlette()
    app.router.redirect_slashes = False
    for routes in (
        RunRoutes(context),
        MessageRoutes(context),
        ThreadRoutes(context),
        AssistantRoutes(context),
        FileRoutes(context),
        UploadRoutes(context),
        VectorStoreRoutes(context),
        StoreFileRoutes(context),
        FileBatchRoutes(context),
        PassThroughRoutes(context),
        SystemRoutes(context, metrics),
    ):
        routes.add_to(app.router)
    app.add_exception_handler(ThreadmillError, _on_domain_error)
    app.add_exception_handler(HTTPException, _on_no_route)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_crash)
    # Outermost, so that even an unforeseen error's answer carries its request id, and a stream's deltas pass no layer.
    return ApiMiddleware(app, access.keys, access.browsers, metrics_open=access.metrics_open)


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, RETRY_HEADERS if status == UNAVAILABLE else None, "application/json")


async def _on_domain_error(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, ThreadmillError) else ThreadmillError(str(error))
    status, body = error_response(known, request.url.path)
    return _json(TOO_LARGE if isinstance(known, BodyTooLarge) else status, body)


async def _on_no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else NOT_FOUND
    method, path = request.method, request.url.path
    if status == WRONG_METHOD:
        return _json(*wrong_method(method, path))
    routes: list[BaseRoute] = request.app.router.routes
    return _json(*unknown_url(method, path, meant_path(routes, method, path)))


async def _on_disconnect(_: Request, error: Exception) -> Response:
    """The client left in the middle of its own request: nobody reads this."""
    del error
    return Response(status_code=CLIENT_GONE)


async def _on_crash(request: Request, error: Exception) -> Response:
    request_id: str = request.scope.get("state", {}).get("request_id", "unknown")
    LOG.error("request %s failed", request_id, exc_info=error)
    return _json(*crash_response(request_id))
