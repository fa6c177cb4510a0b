"""/v1/threads, and our list of them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, read_as, thread_id_of
from threadmill.engine.objects import threads
from threadmill.wire import response
from threadmill.wire.request.query import page_query
from threadmill.wire.request.run_thread_bodies import CreateThread, ModifyThread


class ThreadRoutes:
    """Threads: create, list (ours), retrieve, modify, delete."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        one = "/v1/threads/{thread_id}"
        router.add_route("/v1/threads", self.create, methods=["POST"])
        router.add_route("/v1/threads", self.page, methods=["GET"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(one, self.modify, methods=["POST"])
        router.add_route(one, self.delete, methods=["DELETE"])

    async def create(self, request: Request) -> Response:
        """POST /threads."""
        new = await read_as(self._context, request, CreateThread, CreateThread.to_domain, allow_empty=True)
        made = await threads.create(self._context.engine, caller_project(request), new)
        return json_response(response.to_rest_json(response.thread(made)))

    async def page(self, request: Request) -> Response:
        """GET /threads."""
        page = await threads.page(self._context.engine, caller_project(request), page_query(request.query_params))
        shown = (response.thread(thread, fetched=True) for thread in page.items)
        return json_response(response.to_rest_json(response.list_response(shown, has_more=page.has_more)))

    async def retrieve(self, request: Request) -> Response:
        """GET /threads/{id}."""
        found = await threads.retrieve(self._context.engine, caller_project(request), thread_id_of(request))
        return json_response(response.to_rest_json(response.thread(found, fetched=True)))

    async def modify(self, request: Request) -> Response:
        """POST /threads/{id}."""
        thread_id = thread_id_of(request)
        patch = await read_as(self._context, request, ModifyThread, ModifyThread.to_domain, allow_empty=True)
        changed = await threads.modify(self._context.engine, caller_project(request), thread_id, patch)
        return json_response(response.to_rest_json(response.thread(changed)))

    async def delete(self, request: Request) -> Response:
        """DELETE /threads/{id}."""
        thread_id = thread_id_of(request)
        await threads.delete(self._context.engine, caller_project(request), thread_id)
        return json_response(response.to_rest_json(response.deletion_response(thread_id, "thread")))
