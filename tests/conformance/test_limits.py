"""Every limit at its exact edge, over HTTP, with the service's whole refusal (behaviour.md 8.3)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.conformance.limits import FILE, LIMITS, Limit, document, param_of
from tests.conformance.scope import gap_of
from tests.conformance.world import World, world
from tests.support.schema import Node, operations
from tests.support.serving import Live, Reply, serving
from tests.support.surface import Fact, body_schema, query_schemas, walk_limits
from threadmill.settings import LimitConfig

OPERATIONS = sorted({operation for limit in LIMITS for operation in limit.operations})


def told(limit: Limit, operation: str) -> dict[str, Any]:
    param = param_of(limit, operation)
    return {
        "message": limit.text.format(param=param),
        "type": "invalid_request_error",
        "param": limit.param.format(param=param),
        "code": limit.code,
    }


async def ask(live: Live, here: World, operation: str, place: str, value: Any) -> Reply:
    """The operation with a value at a place, and else no more than it needs."""
    method, _, path = here.placed(operation).partition(" ")
    if operation == FILE:
        anchor = {"purpose": "vision", "expires_after[anchor]": "created_at"}
        return await _upload(live, anchor | {f"{place.replace('.', '[')}]": str(value)})
    if method == "GET":
        return await live.api.call("GET", f"{path}?{urlencode({place: value})}")
    return await live.api.call(method, path, here.body(operation, here.real(document(place, value))))


async def _upload(live: Live, fields: dict[str, str]) -> Reply:
    form = aiohttp.FormData(fields)
    form.add_field("file", b"x", filename="a.txt")
    async with live.api.session.post(f"{live.url}/files", data=form, headers=live.api.headers) as response:
        return Reply(response.status, await response.json(), {})


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_limit_holds_at_its_edge_with_the_services_refusal(live: Live, operation: str) -> None:
    for limit in [limit for limit in LIMITS if operation in limit.operations]:
        here = await world(live)
        taken = await ask(live, here, operation, limit.place, here.real(limit.taken))
        assert taken.status == 200, (limit.place, limit.bound, taken.body)
        refused = await ask(live, here, operation, limit.place, here.real(limit.refused))
        assert (refused.status, refused.body["error"]) == (400, told(limit, operation)), limit.place


OUT_OF_REACH = {f"{at}tool_resources.file_search.vector_stores[].file_ids": "maxItems" for at in ("", "thread.")}
"""A hundred million ids do not fit into a body."""


def limits_of_the_spec() -> Iterator[tuple[str, str, str]]:
    for operation in operations():
        bodies: dict[str, Node] = {"": body_schema(operation)}
        for at, schema in (bodies | query_schemas(operation)).items():
            for place, bound in walk_limits(schema, at):
                if gap_of(Fact("parameter", f"{operation.name}#{place}", "")) is None:
                    yield operation.name, place, bound


def test_no_limit_of_the_spec_is_left_out() -> None:
    known = {(operation, limit.place, limit.bound) for limit in LIMITS for operation in limit.operations}
    assert (
        sorted(limit for limit in set(limits_of_the_spec()) - known if limit[2] not in OUT_OF_REACH.get(limit[1], ""))
        == []
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_with_a_limit_is_of_the_spec(operation: str) -> None:
    assert operation in {one.name for one in operations()}


async def test_a_thread_holds_a_hundred_thousand_messages_unless_set_otherwise(tmp_path: Path) -> None:
    assert LimitConfig().max_thread_messages == 100_000
    config = tmp_path / "threadmill.toml"
    config.write_text("[limits]\nmax_thread_messages = 3\n")
    async with serving(tmp_path / "data", CONFIG=str(config)) as live:
        said = {"role": "user", "content": "x"}
        assistant, thread = await live.api.assistant(), await live.api.thread("x", "x")
        await live.api.ok("POST", f"/threads/{thread}/messages", said)
        full = {
            "message": f"Thread {thread} cannot hold more than 3 messages. Delete some, or begin a new thread.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "thread_message_limit_exceeded",
        }
        run = {"assistant_id": assistant, "additional_messages": [said]}
        for path, body in ((f"/threads/{thread}/messages", said), (f"/threads/{thread}/runs", run)):
            assert await live.api.refused("POST", path, body) == (400, full)
        many = {"messages": [said] * 4}
        for path, body in (("/threads", many), ("/threads/runs", {"assistant_id": assistant, "thread": many})):
            assert (await live.api.refused("POST", path, body))[1]["code"] == full["code"]
        assert (await live.api.ok("GET", "/threads"))["data"][0]["id"] == thread
