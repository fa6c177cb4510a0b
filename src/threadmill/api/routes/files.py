"""/v1/files: uploads stream in, contents stream out."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response
from threadmill.api.upload import read_upload
from threadmill.domain.ids import FileId
from threadmill.engine.objects import files
from threadmill.engine.storage.file_creation import open_blob_writer
from threadmill.wire import response
from threadmill.wire.request.files import files_query, new_file


class FileRoutes:
    """Files: create, list, retrieve, delete, content."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        one = "/v1/files/{file_id}"
        router.add_route("/v1/files", self.create, methods=["POST"])
        router.add_route("/v1/files", self.page, methods=["GET"])
        router.add_route(one, self.retrieve, methods=["GET"])
        router.add_route(one, self.delete, methods=["DELETE"])
        router.add_route(f"{one}/content", self.content, methods=["GET"])

    async def create(self, request: Request) -> Response:
        """POST /files."""
        async with open_blob_writer(self._context.engine.ports) as writer:
            upload = await read_upload(request, writer)
            new = new_file(upload.filename, upload.fields)
            made = await files.create(self._context.engine, caller_project(request), new, writer)
        return json_response(response.to_rest_json(response.file(made)))

    async def page(self, request: Request) -> Response:
        """GET /files."""
        query, purpose = files_query(request.query_params)
        page = await files.page(self._context.engine, caller_project(request), query, purpose)
        return json_response(
            response.to_rest_json(response.file_list_response(map(response.file, page.items), has_more=page.has_more))
        )

    async def retrieve(self, request: Request) -> Response:
        """GET /files/{id}."""
        return json_response(
            response.to_rest_json(
                response.file(await files.retrieve(self._context.engine, caller_project(request), _file_id(request)))
            )
        )

    async def delete(self, request: Request) -> Response:
        """DELETE /files/{id}."""
        file_id = _file_id(request)
        await files.delete(self._context.engine, caller_project(request), file_id)
        return json_response(response.to_rest_json({"object": "file", "deleted": True, "id": file_id}))

    async def content(self, request: Request) -> Response:
        """GET /files/{id}/content."""
        file, content = await files.read(self._context.engine, caller_project(request), _file_id(request))
        first = await anext(content, b"")  # a lost content must show before the answer begins
        headers = {"content-length": str(file.blob.size), "content-disposition": "attachment"}
        return StreamingResponse(_prepend(first, content), media_type="application/octet-stream", headers=headers)


async def _prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _file_id(request: Request) -> FileId:
    return FileId(request.path_params["file_id"])
