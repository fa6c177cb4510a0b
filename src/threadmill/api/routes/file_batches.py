"""/v1/vector_stores/{id}/file_batches."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, poll_headers, read_as, store_id_of
from threadmill.domain.ids import FileBatchId
from threadmill.domain.vector_store import FileBatch, FileBatchStatus
from threadmill.engine.objects import file_batches, store_files
from threadmill.wire import response, vector_store_response
from threadmill.wire.request.query import check_id
from threadmill.wire.request.vector_stores import CreateBatch, store_files_query


class FileBatchRoutes:
    """File batches: create, retrieve, cancel, list files."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        every = "/v1/vector_stores/{vector_store_id}/file_batches"
        one = f"{every}/{{batch_id}}"
        router.add_route(every, self.create, methods=["POST"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(f"{one}/cancel", self.cancel, methods=["POST"])
        router.add_route(f"{one}/files", self.file_page, methods=["GET"])

    async def create(self, request: Request) -> Response:
        """POST …/file_batches."""
        store_id = store_id_of(request)
        files = await read_as(self._context, request, CreateBatch, CreateBatch.to_domain)
        return _batch_response(
            self._context, await file_batches.create(self._context.engine, caller_project(request), store_id, files)
        )

    async def retrieve(self, request: Request) -> Response:
        """GET …/file_batches/{id}."""
        store_id, batch_id = store_id_of(request), _batch_id(request)
        return _batch_response(
            self._context,
            await file_batches.retrieve(self._context.engine, caller_project(request), store_id, batch_id),
        )

    async def cancel(self, request: Request) -> Response:
        """POST …/cancel."""
        store_id, batch_id = store_id_of(request), _batch_id(request)
        return _batch_response(
            self._context, await file_batches.cancel(self._context.engine, caller_project(request), store_id, batch_id)
        )

    async def file_page(self, request: Request) -> Response:
        """GET …/file_batches/{id}/files."""
        store_id, batch_id = store_id_of(request), _batch_id(request)
        query, status = store_files_query(request.query_params)
        await file_batches.retrieve(self._context.engine, caller_project(request), store_id, batch_id)
        page = await store_files.page(
            self._context.engine, caller_project(request), store_id, query, status=status, batch_id=batch_id
        )
        return json_response(
            response.to_rest_json(
                response.list_response(map(vector_store_response.store_file, page.items), has_more=page.has_more)
            )
        )


def _batch_response(context: ApiContext, batch: FileBatch) -> Response:
    busy = batch.status is FileBatchStatus.IN_PROGRESS
    return json_response(
        response.to_rest_json(vector_store_response.file_batch(batch)),
        poll_headers(context, batch.created_at, busy=busy),
    )


def _batch_id(request: Request) -> FileBatchId:
    return FileBatchId(check_id(request.path_params["batch_id"], "batch_id"))
