"""What every route does: read a bounded body, know the project, answer ready JSON."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import ProjectId, ThreadId, VectorStoreId
from threadmill.engine.engine import Engine
from threadmill.wire.request.query import check_id

POLL_AFTER = {"openai-poll-after-ms": "100"}
"""Sent with what is still at work: SDK pollers ask again after 100 ms in place of their 1 to 5 s (behaviour.md 8.1)."""


class BodyTooLarge(InvalidRequest):
    """The request body is larger than this server takes."""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What routes are built from."""

    engine: Engine
    max_body_bytes: int


def caller_project(request: Request) -> ProjectId:
    """The project the middleware found behind the key."""
    return request.scope["state"]["project"]


async def read_body(context: ApiContext, request: Request) -> bytes:
    """The whole body. Raises BodyTooLarge before more than the limit is held in memory.

    What the body says it is does not matter, as long as it is JSON; but a page of another origin must say so, for only
    then has its browser asked whether it may send that (ADR-0019). Raises InvalidRequest otherwise.
    """
    if request.scope["state"].get("cross_origin") and not _says_json(request):
        text = "Send the body as Content-Type: application/json; pages of other origins may send nothing else here."
        raise InvalidRequest(text, code="unsupported_content_type")
    pieces: list[bytes] = []
    left = context.max_body_bytes
    async for piece in request.stream():
        left -= len(piece)
        if left < 0:
            text = f"Your request body is too large. The maximum is {context.max_body_bytes} bytes."
            raise BodyTooLarge(text, code="request_too_large")
        pieces.append(piece)
    return b"".join(pieces)


def _says_json(request: Request) -> bool:
    """Whether a body says that it is JSON; one that is not there need not."""
    headers = request.headers
    if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
        return True
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def json_response(body: bytes, headers: dict[str, str] | None = None) -> Response:
    """200 with ready JSON."""
    return Response(body, media_type="application/json", headers=headers)


def thread_id_of(request: Request) -> ThreadId:
    """The path's thread id. Raises InvalidRequest for what cannot be one."""
    return ThreadId(check_id(request.path_params["thread_id"], "thread_id"))


def store_id_of(request: Request) -> VectorStoreId:
    """The path's vector store id. Raises InvalidRequest for what cannot be one."""
    return VectorStoreId(check_id(request.path_params["vector_store_id"], "vector_store_id"))
