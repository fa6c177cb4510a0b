"""/v1/threads/{id}/messages."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, read_as, thread_id_of
from threadmill.domain.ids import MessageId
from threadmill.engine.objects import messages
from threadmill.wire import response
from threadmill.wire.request.query import check_id, page_query, run_filter
from threadmill.wire.request.run_thread_bodies import CreateMessage, ModifyMetadata


class MessageRoutes:
    """Messages: create, list, retrieve, modify, delete."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        every = "/v1/threads/{thread_id}/messages"
        one = f"{every}/{{message_id}}"
        router.add_route(every, self.create, methods=["POST"])
        router.add_route(every, self.page, methods=["GET"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(one, self.modify, methods=["POST"])
        router.add_route(one, self.delete, methods=["DELETE"])

    async def create(self, request: Request) -> Response:
        """POST …/messages."""
        thread_id = thread_id_of(request)
        new = await read_as(self._context, request, CreateMessage, CreateMessage.to_domain)
        made = await messages.create(self._context.engine, caller_project(request), thread_id, new)
        return json_response(response.to_rest_json(response.message(made)))

    async def page(self, request: Request) -> Response:
        """GET …/messages."""
        query = request.query_params
        page = await messages.page(
            self._context.engine, caller_project(request), thread_id_of(request), page_query(query), run_filter(query)
        )
        return json_response(
            response.to_rest_json(response.list_response(map(response.message, page.items), has_more=page.has_more))
        )

    async def retrieve(self, request: Request) -> Response:
        """GET …/messages/{id}."""
        thread_id, message_id = thread_id_of(request), _message_id(request)
        found = await messages.retrieve(self._context.engine, caller_project(request), thread_id, message_id)
        return json_response(response.to_rest_json(response.message(found)))

    async def modify(self, request: Request) -> Response:
        """POST …/messages/{id}."""
        thread_id, message_id = thread_id_of(request), _message_id(request)
        metadata = await read_as(self._context, request, ModifyMetadata, lambda body: body.metadata, allow_empty=True)
        changed = await messages.modify(self._context.engine, caller_project(request), thread_id, message_id, metadata)
        return json_response(response.to_rest_json(response.modified_message(changed)))

    async def delete(self, request: Request) -> Response:
        """DELETE …/messages/{id}."""
        thread_id, message_id = thread_id_of(request), _message_id(request)
        await messages.delete(self._context.engine, caller_project(request), thread_id, message_id)
        return json_response(response.to_rest_json(response.deletion_response(message_id, "thread.message")))


def _message_id(request: Request) -> MessageId:
    return MessageId(check_id(request.path_params["message_id"], "message_id"))
