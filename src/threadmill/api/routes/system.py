"""/v1/models, /healthz, /readyz, /metrics."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, json_response
from threadmill.domain.error import NotFound, ThreadmillError
from threadmill.engine.ports.model import ModelError
from threadmill.wire import response

READY_TIMEOUT = 5.0


class SystemRoutes:
    """Models and the server's own state. `metrics` gives Prometheus' text."""

    def __init__(self, context: ApiContext, metrics: Callable[[], bytes]) -> None:
        self._context: ApiContext = context
        self._metrics: Callable[[], bytes] = metrics

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        router.add_route("/v1/models", self.models, methods=["GET"])
        router.add_route("/v1/models/{model:path}", self.model, methods=["GET"])
        router.add_route("/healthz", self.healthz, methods=["GET"])
        router.add_route("/readyz", self.readyz, methods=["GET"])
        router.add_route("/metrics", self.metrics, methods=["GET"])

    async def models(self, _: Request) -> Response:
        """GET /models."""
        found = await self._context.engine.ports.model.list()
        return json_response(
            response.to_rest_json(
                response.model_list(response.model_object(one.id, one.created, one.owned_by) for one in found)
            )
        )

    async def model(self, request: Request) -> Response:
        """GET /models/{id}."""
        name = request.path_params["model"]
        for one in await self._context.engine.ports.model.list():
            if one.id == name:
                return json_response(response.to_rest_json(response.model_object(one.id, one.created, one.owned_by)))
        raise NotFound(f"The model '{name}' does not exist", param="model", code="model_not_found")

    async def healthz(self, _: Request) -> Response:
        """The process is up."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Database and upstream can be used; else 503 with a line that says which cannot."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._context.engine.ports.queue.queued(1)
                await self._context.engine.ports.model.ready()
        except (ThreadmillError, ModelError) as error:
            return PlainTextResponse(f"{error.message}\n", 503)
        except TimeoutError:
            return PlainTextResponse("The upstream does not answer.\n", 503)
        return PlainTextResponse("ok\n")

    async def metrics(self, _: Request) -> Response:
        """What was counted."""
        return Response(self._metrics(), media_type="text/plain; version=0.0.4")
