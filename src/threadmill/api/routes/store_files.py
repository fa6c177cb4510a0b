"""/v1/vector_stores/{id}/files."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, poll_headers, read_as, store_id_of
from threadmill.domain.ids import FileId
from threadmill.domain.vector_store import VectorStoreFile, VectorStoreFileStatus
from threadmill.engine.objects import store_files
from threadmill.wire import response, vector_store_response
from threadmill.wire.request.query import check_id
from threadmill.wire.request.vector_stores import CreateStoreFile, ModifyStoreFile, store_files_query


class StoreFileRoutes:
    """Files of a store: create, list, retrieve, modify, delete, content."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        every = "/v1/vector_stores/{vector_store_id}/files"
        one = f"{every}/{{file_id}}"
        router.add_route(every, self.create, methods=["POST"])
        router.add_route(every, self.page, methods=["GET"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(one, self.modify, methods=["POST"])
        router.add_route(one, self.delete, methods=["DELETE"])
        router.add_route(f"{one}/content", self.content, methods=["GET"])

    async def create(self, request: Request) -> Response:
        """POST …/files."""
        store_id = store_id_of(request)
        new = await read_as(self._context, request, CreateStoreFile, CreateStoreFile.to_domain)
        return _file_response(
            self._context, await store_files.add(self._context.engine, caller_project(request), store_id, new)
        )

    async def page(self, request: Request) -> Response:
        """GET …/files."""
        store_id, (query, status) = store_id_of(request), store_files_query(request.query_params)
        page = await store_files.page(self._context.engine, caller_project(request), store_id, query, status=status)
        return json_response(
            response.to_rest_json(
                response.list_response(map(vector_store_response.store_file, page.items), has_more=page.has_more)
            )
        )

    async def retrieve(self, request: Request) -> Response:
        """GET …/files/{id}."""
        store_id, file_id = store_id_of(request), _file_id(request)
        return _file_response(
            self._context, await store_files.retrieve(self._context.engine, caller_project(request), store_id, file_id)
        )

    async def modify(self, request: Request) -> Response:
        """POST …/files/{id}."""
        store_id, file_id = store_id_of(request), _file_id(request)
        attributes = await read_as(self._context, request, ModifyStoreFile, ModifyStoreFile.to_domain)
        return _file_response(
            self._context,
            await store_files.modify(self._context.engine, caller_project(request), store_id, file_id, attributes),
        )

    async def delete(self, request: Request) -> Response:
        """DELETE …/files/{id}."""
        store_id, file_id = store_id_of(request), _file_id(request)
        await store_files.remove(self._context.engine, caller_project(request), store_id, file_id)
        return json_response(response.to_rest_json(response.deletion_response(file_id, "vector_store.file")))

    async def content(self, request: Request) -> Response:
        """GET …/files/{id}/content."""
        store_id, file_id = store_id_of(request), _file_id(request)
        _, _, texts = await store_files.content(self._context.engine, caller_project(request), store_id, file_id)
        return json_response(response.to_rest_json(vector_store_response.content_page(texts)))


def _file_response(context: ApiContext, file: VectorStoreFile) -> Response:
    busy = file.status is VectorStoreFileStatus.IN_PROGRESS
    return json_response(
        response.to_rest_json(vector_store_response.store_file(file)), poll_headers(context, file.created_at, busy=busy)
    )


def _file_id(request: Request) -> FileId:
    return FileId(check_id(request.path_params["file_id"], "file_id"))
