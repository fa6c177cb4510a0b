"""/v1/models, /healthz, /readyz, /metrics, and what browsers ask for by themselves."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, json_response
from threadmill.api.readiness import Readiness
from threadmill.domain.error import NotFound
from threadmill.wire import response

UNASKED = ("/favicon.ico", "/robots.txt", "/apple-touch-icon.png", "/apple-touch-icon-precomposed.png")
"""Asked for by browsers and crawlers, whatever the user does: there is nothing there, and that is no error."""


class SystemRoutes:
    """Models and the server's own state. `metrics` gives Prometheus' text."""

    def __init__(self, context: ApiContext, metrics: Callable[[], bytes]) -> None:
        self._context: ApiContext = context
        self._metrics: Callable[[], bytes] = metrics
        self._readiness: Readiness = Readiness(context.engine)

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        router.add_route("/v1/models", self.models, methods=["GET"])
        router.add_route("/v1/models/{model:path}", self.model, methods=["GET"])
        router.add_route("/healthz", self.healthz, methods=["GET"])
        router.add_route("/readyz", self.readyz, methods=["GET"])
        router.add_route("/metrics", self.metrics, methods=["GET"])
        for path in UNASKED:
            router.add_route(path, self.nothing, methods=["GET"])

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
        """Database and upstream can be used; else 503 with a line that says which cannot. Some seconds old at most."""
        problem = await self._readiness.problem()
        return PlainTextResponse("ok\n") if problem is None else PlainTextResponse(f"{problem}\n", 503)

    async def nothing(self, _: Request) -> Response:
        """What we do not have, without a fuss."""
        return Response(status_code=204, headers={"cache-control": "max-age=86400"})

    async def metrics(self, _: Request) -> Response:
        """What was counted."""
        return Response(self._metrics(), media_type="text/plain; version=0.0.4")
