"""Every list pages the same way: limit, order, after and before (behaviour.md 8.4)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.serving import Api, Live

INCLUDE = quote("include[]") + "=" + quote("step_details.tool_calls[*].file_search.results[*].content")
Made = tuple[str, list[str]]


async def assistants(api: Api) -> Made:
    return "/assistants", [await api.assistant() for _ in range(5)]


async def threads(api: Api) -> Made:
    return "/threads", [await api.thread() for _ in range(5)]


async def messages(api: Api) -> Made:
    path = f"/threads/{await api.thread()}/messages"
    said = {"role": "user", "content": "x"}
    return path, [(await api.ok("POST", path, said))["id"] for _ in range(5)]


async def runs(api: Api) -> Made:
    path, body = f"/threads/{await api.thread('hi')}/runs", {"assistant_id": await api.assistant()}
    return path, [(await api.stream(path, body))[0].data["id"] for _ in range(5)]


async def steps(api: Api) -> Made:
    script = "\n---\n".join(["call: nobody {}"] * 4 + ["say: done"])
    path = f"/threads/{await api.thread(script)}/runs"
    events = await api.stream(path, {"assistant_id": await api.assistant()})
    made = [event.data["id"] for event in events if event.name == "thread.run.step.created"]
    return f"{path}/{events[0].data['id']}/steps", made


async def files(api: Api) -> Made:
    return "/files", [await api.file("a.txt") for _ in range(5)]


async def stores(api: Api) -> Made:
    return "/vector_stores", [(await api.ok("POST", "/vector_stores", {}))["id"] for _ in range(5)]


async def store_files(api: Api) -> Made:
    path = f"/vector_stores/{(await stores(api))[1][0]}/files"
    files = [await api.file("a.txt") for _ in range(5)]
    return path, [(await api.ok("POST", path, {"file_id": file}))["id"] for file in files]


async def batch_files(api: Api) -> Made:
    path, made = f"/vector_stores/{(await stores(api))[1][0]}/file_batches", [await api.file("a.txt") for _ in range(5)]
    return f"{path}/{(await api.ok('POST', path, {'file_ids': made}))['id']}/files", made


MAKERS: Sequence[Callable[[Api], Awaitable[Made]]] = (
    assistants,
    threads,
    messages,
    runs,
    steps,
    files,
    stores,
    store_files,
    batch_files,
)


def ids(page: dict[str, Any]) -> list[str]:
    found = [one["id"] for one in page["data"]]
    assert (page["first_id"], page["last_id"]) == ((found[0], found[-1]) if found else (None, None))
    return found


def before(expected: list[str]) -> list[tuple[str, list[str], bool]]:
    """What `before` gives; the list of files does not know it."""
    return [
        (f"limit=2&before={expected[3]}", expected[1:3], True),
        (f"before={expected[2]}", expected[:2], False),
        (f"before={expected[0]}", [], False),
        (f"after={expected[0]}&before={expected[4]}", expected[1:4], False),
    ]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
async def test_a_list_pages_in_both_orders_and_both_directions(
    live: Live, make: Callable[[Api], Awaitable[Made]]
) -> None:
    path, made = await make(live.api)
    assert len(made) == 5
    for order, expected in (("asc", made), ("desc", made[::-1])):
        for query, wanted, more in (
            ("limit=100", expected, False),
            ("limit=1", expected[:1], True),
            (f"limit=2&after={expected[1]}", expected[2:4], True),
            (f"limit=2&after={expected[2]}", expected[3:], False),
            (f"after={expected[4]}", [], False),
            *([] if make is files else before(expected)),
        ):
            page = await live.api.ok("GET", f"{path}?order={order}&{query}")
            assert (ids(page), page["has_more"]) == (wanted, more), (order, query)
    assert ids(await live.api.ok("GET", path)) == made[::-1]


@pytest.mark.parametrize("make", MAKERS[:5], ids=lambda make: make.__name__)
async def test_a_list_holds_twenty_unless_asked_otherwise(live: Live, make: Callable[[Api], Awaitable[Made]]) -> None:
    path, made = await make(live.api)
    while len(made) < 21 and make is not steps:
        more = await make(live.api) if make in (assistants, threads) else await _again(live.api, path)
        made += more[1]
    page = await live.api.ok("GET", path)
    assert (ids(page), page["has_more"]) == (made[::-1][:20], len(made) > 20)


async def _again(api: Api, path: str) -> Made:
    if path.endswith("/messages"):
        return path, [(await api.ok("POST", path, {"role": "user", "content": "x"}))["id"]]
    return path, [(await api.stream(path, {"assistant_id": await api.assistant()}))[0].data["id"]]


async def test_steps_and_runs_take_the_include_that_clients_send_with_every_run(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: hi")
    run = await live.api.ok("POST", f"/threads/{thread}/runs?{INCLUDE}", {"assistant_id": assistant})
    assert (await live.api.finished(thread, run["id"]))["status"] == "completed"
    path = f"/threads/{thread}/runs/{run['id']}/steps"
    (step,) = (await live.api.ok("GET", f"{path}?{INCLUDE}"))["data"]
    assert await live.api.ok("GET", f"{path}/{step['id']}?{INCLUDE}") == step
    status, error = await live.api.refused("GET", f"{path}?{quote('include[]')}=everything")
    assert (status, error["code"]) == (400, "invalid_value")
