"""/v1/uploads: large files in parts."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, read_as
from threadmill.api.upload import FormFile, read_upload
from threadmill.domain.ids import UploadId
from threadmill.domain.upload import MAX_PART_BYTES
from threadmill.engine.objects import uploads
from threadmill.engine.storage.file_creation import open_blob_writer
from threadmill.wire import response
from threadmill.wire.request.query import check_id
from threadmill.wire.request.uploads import CompleteUpload, CreateUpload, check_part


class UploadRoutes:
    """Uploads: create, add a part, complete, cancel."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them."""
        one = "/v1/uploads/{upload_id}"
        router.add_route("/v1/uploads", self.create, methods=["POST"])
        router.add_route(f"{one}/parts", self.add_part, methods=["POST"])
        router.add_route(f"{one}/complete", self.complete, methods=["POST"])
        router.add_route(f"{one}/cancel", self.cancel, methods=["POST"])

    async def create(self, request: Request) -> Response:
        """POST /uploads."""
        new = await read_as(self._context, request, CreateUpload, CreateUpload.to_domain)
        made = await uploads.create(self._context.engine, caller_project(request), new)
        return json_response(response.to_rest_json(response.upload(made, None)))

    async def add_part(self, request: Request) -> Response:
        """POST /uploads/{id}/parts."""
        engine, project, upload_id = self._context.engine, caller_project(request), _upload_id(request)
        await uploads.require(engine, project, upload_id)  # before its bytes are taken
        async with open_blob_writer(engine.ports) as writer:
            form = await read_upload(request, writer, FormFile("data", MAX_PART_BYTES))
            check_part(form.filename, form.fields)
            part = await uploads.add_part(engine, project, upload_id, writer)
        return json_response(response.to_rest_json(response.upload_part(part)))

    async def complete(self, request: Request) -> Response:
        """POST /uploads/{id}/complete."""
        upload_id = _upload_id(request)
        parts, md5 = await read_as(self._context, request, CompleteUpload, CompleteUpload.to_domain)
        project = caller_project(request)
        upload, file = await uploads.complete(self._context.engine, project, upload_id, parts, md5)
        return json_response(response.to_rest_json(response.upload(upload, file)))

    async def cancel(self, request: Request) -> Response:
        """POST /uploads/{id}/cancel."""
        upload = await uploads.cancel(self._context.engine, caller_project(request), _upload_id(request))
        return json_response(response.to_rest_json(response.upload(upload, None)))


def _upload_id(request: Request) -> UploadId:
    return UploadId(check_id(request.path_params["upload_id"], "upload_id"))
