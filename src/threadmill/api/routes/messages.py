"""/v1/threads/{id}/messages."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import Edge, answer, body_of, project_of, thread_id_of
from threadmill.domain.ids import MessageId
from threadmill.engine.objects import messages
from threadmill.wire import response as o
from threadmill.wire.request.body import parse
from threadmill.wire.request.query import check_id, page_query, run_filter
from threadmill.wire.request.run_thread_bodies import CreateMessage, Modify


class MessageRoutes:
    """Messages: create, list, retrieve, modify, delete."""

    def __init__(self, edge: Edge) -> None:
        self._edge: Edge = edge

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
        new = parse(CreateMessage, await body_of(self._edge, request)).to_domain()
        made = await messages.create(self._edge.engine, project_of(request), thread_id, new)
        return answer(o.rest(o.message(made)))

    async def page(self, request: Request) -> Response:
        """GET …/messages."""
        query = request.query_params
        page = await messages.page(
            self._edge.engine, project_of(request), thread_id_of(request), page_query(query), run_filter(query)
        )
        return answer(o.rest(o.listing(map(o.message, page.items), has_more=page.has_more)))

    async def retrieve(self, request: Request) -> Response:
        """GET …/messages/{id}."""
        thread_id, message_id = thread_id_of(request), _id(request)
        found = await messages.retrieve(self._edge.engine, project_of(request), thread_id, message_id)
        return answer(o.rest(o.message(found)))

    async def modify(self, request: Request) -> Response:
        """POST …/messages/{id}."""
        thread_id, message_id = thread_id_of(request), _id(request)
        metadata = parse(Modify, await body_of(self._edge, request), may_be_empty=True).metadata
        changed = await messages.modify(self._edge.engine, project_of(request), thread_id, message_id, metadata)
        return answer(o.rest(o.modified_message(changed)))

    async def delete(self, request: Request) -> Response:
        """DELETE …/messages/{id}."""
        thread_id, message_id = thread_id_of(request), _id(request)
        await messages.delete(self._edge.engine, project_of(request), thread_id, message_id)
        return answer(o.rest(o.deleted(message_id, "thread.message")))


def _id(request: Request) -> MessageId:
    return MessageId(check_id(request.path_params["message_id"], "message_id"))
