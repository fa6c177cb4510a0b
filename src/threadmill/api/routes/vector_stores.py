"""/v1/vector_stores: the stores themselves, and searches in them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, poll_headers, read_as, store_id_of
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus
from threadmill.engine.objects import vector_stores
from threadmill.wire import response, vector_store_response
from threadmill.wire.request.query import page_query
from threadmill.wire.request.search import SearchStore
from threadmill.wire.request.vector_stores import CreateStore, ModifyStore


class VectorStoreRoutes:
    """Vector stores: create, list, retrieve, modify, delete, search."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        one = "/v1/vector_stores/{vector_store_id}"
        router.add_route("/v1/vector_stores", self.create, methods=["POST"])
        router.add_route("/v1/vector_stores", self.page, methods=["GET"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(one, self.modify, methods=["POST"])
        router.add_route(one, self.delete, methods=["DELETE"])
        router.add_route(f"{one}/search", self.search, methods=["POST"])

    async def create(self, request: Request) -> Response:
        """POST /vector_stores."""
        new = await read_as(self._context, request, CreateStore, CreateStore.to_domain, allow_empty=True)
        return self._store_response(await vector_stores.create(self._context.engine, caller_project(request), new))

    async def page(self, request: Request) -> Response:
        """GET /vector_stores."""
        page = await vector_stores.page(self._context.engine, caller_project(request), page_query(request.query_params))
        now = self._context.engine.ports.clock.now()
        shown = (vector_store_response.vector_store(store, now) for store in page.items)
        return json_response(response.to_rest_json(response.list_response(shown, has_more=page.has_more)))

    async def retrieve(self, request: Request) -> Response:
        """GET /vector_stores/{id}."""
        found = await vector_stores.retrieve(self._context.engine, caller_project(request), store_id_of(request))
        return self._store_response(found)

    async def modify(self, request: Request) -> Response:
        """POST /vector_stores/{id}."""
        store_id = store_id_of(request)
        patch = await read_as(self._context, request, ModifyStore, ModifyStore.to_domain, allow_empty=True)
        return self._store_response(
            await vector_stores.modify(self._context.engine, caller_project(request), store_id, patch)
        )

    async def delete(self, request: Request) -> Response:
        """DELETE /vector_stores/{id}."""
        store_id = store_id_of(request)
        await vector_stores.delete(self._context.engine, caller_project(request), store_id)
        return json_response(response.to_rest_json(response.deletion_response(store_id, "vector_store")))

    async def search(self, request: Request) -> Response:
        """POST /vector_stores/{id}/search."""
        store_id = store_id_of(request)
        wanted = await read_as(self._context, request, SearchStore, SearchStore.to_domain)
        found = await vector_stores.search(self._context.engine, caller_project(request), store_id, wanted)
        shown = (
            vector_store_response.search_result(one.file_id, one.filename, one.score, one.attributes, one.text)
            for one in found
        )
        return json_response(response.to_rest_json(vector_store_response.search_page(wanted.queries, shown)))

    def _store_response(self, store: VectorStore) -> Response:
        now = self._context.engine.ports.clock.now()
        busy = store.status(now) is VectorStoreStatus.IN_PROGRESS
        return json_response(
            response.to_rest_json(vector_store_response.vector_store(store, now)),
            poll_headers(self._context, store.last_active_at, busy=busy),
        )
