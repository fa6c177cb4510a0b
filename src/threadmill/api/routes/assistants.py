"""/v1/assistants."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import Edge, answer, body_of, project_of
from threadmill.domain.ids import AssistantId
from threadmill.engine.objects import assistants
from threadmill.wire import response as o
from threadmill.wire.request.body import parse
from threadmill.wire.request.query import check_id, page_query
from threadmill.wire.request.run_thread_bodies import CreateAssistant, ModifyAssistant


class AssistantRoutes:
    """Assistants: create, list, retrieve, modify, delete."""

    def __init__(self, edge: Edge) -> None:
        self._edge: Edge = edge

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        one = "/v1/assistants/{assistant_id}"
        router.add_route("/v1/assistants", self.create, methods=["POST"])
        router.add_route("/v1/assistants", self.page, methods=["GET"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(one, self.modify, methods=["POST"])
        router.add_route(one, self.delete, methods=["DELETE"])

    async def create(self, request: Request) -> Response:
        """POST /assistants."""
        body = parse(CreateAssistant, await body_of(self._edge, request))
        made = await assistants.create(self._edge.engine, project_of(request), body.to_domain())
        return answer(o.rest(o.assistant(made)))

    async def page(self, request: Request) -> Response:
        """GET /assistants."""
        page = await assistants.page(self._edge.engine, project_of(request), page_query(request.query_params))
        return answer(o.rest(o.listing(map(o.assistant, page.items), has_more=page.has_more)))

    async def retrieve(self, request: Request) -> Response:
        """GET /assistants/{id}."""
        found = await assistants.retrieve(self._edge.engine, project_of(request), _id(request))
        return answer(o.rest(o.assistant(found)))

    async def modify(self, request: Request) -> Response:
        """POST /assistants/{id}."""
        assistant_id = _id(request)
        patch = parse(ModifyAssistant, await body_of(self._edge, request), may_be_empty=True).to_domain()
        changed = await assistants.modify(self._edge.engine, project_of(request), assistant_id, patch)
        return answer(o.rest(o.assistant(changed)))

    async def delete(self, request: Request) -> Response:
        """DELETE /assistants/{id}."""
        assistant_id = _id(request)
        await assistants.delete(self._edge.engine, project_of(request), assistant_id)
        return answer(o.rest(o.deleted(assistant_id, "assistant")))


def _id(request: Request) -> AssistantId:
    return AssistantId(check_id(request.path_params["assistant_id"], "assistant_id"))
