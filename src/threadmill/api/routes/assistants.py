"""/v1/assistants."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, read_as
from threadmill.domain.ids import AssistantId
from threadmill.engine.objects import assistants
from threadmill.wire import response
from threadmill.wire.request.query import check_id, page_query
from threadmill.wire.request.run_thread_bodies import CreateAssistant, ModifyAssistant


class AssistantRoutes:
    """Assistants: create, list, retrieve, modify, delete."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

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
        new = await read_as(self._context, request, CreateAssistant, CreateAssistant.to_domain)
        made = await assistants.create(self._context.engine, caller_project(request), new)
        return json_response(response.to_rest_json(response.assistant(made)))

    async def page(self, request: Request) -> Response:
        """GET /assistants."""
        page = await assistants.page(self._context.engine, caller_project(request), page_query(request.query_params))
        return json_response(
            response.to_rest_json(response.list_response(map(response.assistant, page.items), has_more=page.has_more))
        )

    async def retrieve(self, request: Request) -> Response:
        """GET /assistants/{id}."""
        found = await assistants.retrieve(self._context.engine, caller_project(request), _assistant_id(request))
        return json_response(response.to_rest_json(response.assistant(found)))

    async def modify(self, request: Request) -> Response:
        """POST /assistants/{id}."""
        assistant_id = _assistant_id(request)
        patch = await read_as(self._context, request, ModifyAssistant, ModifyAssistant.to_domain, allow_empty=True)
        changed = await assistants.modify(self._context.engine, caller_project(request), assistant_id, patch)
        return json_response(response.to_rest_json(response.assistant(changed)))

    async def delete(self, request: Request) -> Response:
        """DELETE /assistants/{id}."""
        assistant_id = _assistant_id(request)
        await assistants.delete(self._context.engine, caller_project(request), assistant_id)
        return json_response(response.to_rest_json(response.deletion_response(assistant_id, "assistant")))


def _assistant_id(request: Request) -> AssistantId:
    return AssistantId(check_id(request.path_params["assistant_id"], "assistant_id"))
