"""What every route does: read a bounded body, know the project, answer ready JSON."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from threadmill.api.body_room import LARGE_BODY, BodyRoom
from threadmill.api.loop_lag import LoopLag
from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import Instant, ProjectId, ThreadId, VectorStoreId
from threadmill.engine.engine import Engine
from threadmill.wire.request.body import B, parse
from threadmill.wire.request.query import check_id

T = TypeVar("T")

MAX_DIGITS = 16
"""Of a length: a longer one is none."""

POLL_AFTER_LEAST, POLL_AFTER_MOST = 0.1, 2.0
"""Seconds; what is younger than the first 2 s is asked for each tenth of a second."""

POLL_SHARE = 0.05
"""Of the age: who waits for long is told a twentieth later at most."""


POLLS_PER_LAG = 50
"""How often a loop that is late by some time could be late again before the next poll: 20 ms late, a poll a second."""


def poll_after(age: float, lag: float = 0.0) -> dict[str, str]:
    """The header for SDK pollers of what has been at work for `age` seconds (behaviour.md 8.1); theirs are 1 to 5 s.

    Seldom where the loop is `lag` seconds late: who polls must not take from streams what they need.
    """
    wait = min(max(POLL_AFTER_LEAST, age * POLL_SHARE, lag * POLLS_PER_LAG), POLL_AFTER_MOST)
    return {"openai-poll-after-ms": f"{wait * 1000:.0f}"}


class BodyTooLarge(InvalidRequest):
    """The request body is larger than this server takes."""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What routes are built from. `comment_seconds`: silence of a stream after which a comment is sent."""

    engine: Engine
    max_body_bytes: int
    comment_seconds: float
    bodies: BodyRoom
    checkers: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "threadmill-bodies"))
    """Where large bodies are checked: one after another, so that the event loop waits for one thread at most."""
    lag: LoopLag = field(default_factory=LoopLag)


def caller_project(request: Request) -> ProjectId:
    """The project the middleware found behind the key."""
    return request.scope["state"]["project"]


async def read_body(context: ApiContext, request: Request) -> list[bytes]:
    """The whole body, for `joined`. Raises BodyTooLarge before more than the limit is held in memory.

    What the body says it is does not matter, as long as it is JSON; but a page of another origin must say so, for only
    then has its browser asked whether it may send that (ADR-0021). Raises InvalidRequest otherwise.
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
    return pieces


def is_large(pieces: list[bytes]) -> bool:
    """Whether the body is to be joined, and looked at, in a thread."""
    return sum(map(len, pieces)) > LARGE_BODY


def joined(pieces: list[bytes]) -> bytes:
    """The body; the pieces are given up, so that it is not there twice. 30 MB are copied in some 15 ms, others work meanwhile."""
    body = b"".join(pieces)
    pieces.clear()
    return body


async def read_as(
    context: ApiContext, request: Request, kind: type[B], make: Callable[[B], T], *, allow_empty: bool = False
) -> T:
    """What `make` makes of the checked body; both in a thread if it is large. Raises InvalidRequest, BodyTooLarge."""
    async with hold_room(context, request):
        pieces = await read_body(context, request)

        def read() -> T:
            return make(parse(kind, joined(pieces), allow_empty=allow_empty))

        if not is_large(pieces):
            return read()
        return await asyncio.get_running_loop().run_in_executor(context.checkers, read)


def hold_room(context: ApiContext, request: Request) -> AbstractAsyncContextManager[None]:
    """Room for the request's body: what it says it has, the limit where it says nothing or more than is taken."""
    announced, limit = announced_length(request), context.max_body_bytes
    return context.bodies.hold(caller_project(request), limit if announced is None else min(announced, limit))


def announced_length(request: Request) -> int | None:
    """Bytes of the body as its headers tell; None for one in chunks."""
    if "transfer-encoding" in request.headers:
        return None
    said = request.headers.get("content-length", "0")
    return int(said) if said.isdecimal() and len(said) < MAX_DIGITS else None


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


def poll_headers(context: ApiContext, since: Instant, *, busy: bool) -> dict[str, str] | None:
    """`poll_after` for what is at work since `since`; None for what is not."""
    return poll_after(context.engine.ports.clock.now() - since, context.lag.seconds) if busy else None


def thread_id_of(request: Request) -> ThreadId:
    """The path's thread id. Raises InvalidRequest for what cannot be one."""
    return ThreadId(check_id(request.path_params["thread_id"], "thread_id"))


def store_id_of(request: Request) -> VectorStoreId:
    """The path's vector store id. Raises InvalidRequest for what cannot be one."""
    return VectorStoreId(check_id(request.path_params["vector_store_id"], "vector_store_id"))
