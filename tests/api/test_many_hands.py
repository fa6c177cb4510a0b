"""64 clients change one object over HTTP, without an SDK's retries: every one of them is answered 200."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.serving import Json, Live, Reply

CLIENTS = 64


async def crowd(live: Live, requests: Sequence[tuple[str, Any]]) -> list[Reply]:
    """The answers to all POST requests, sent by CLIENTS clients."""
    waiting, answers = iter(requests), list[Reply]()

    async def client() -> None:
        for path, body in waiting:
            answers.append(await live.api.call("POST", path, body))

    async with asyncio.timeout(120):
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return answers


def none_failed(answers: Sequence[Reply]) -> None:
    assert [reply.body for reply in answers if reply.status != 200] == []


async def texts(live: Live, count: int) -> list[str]:
    """Ids of so many small files."""
    found: list[str] = []
    for first in range(0, count, 50):
        names = [f"{number}.txt" for number in range(first, min(first + 50, count))]
        found += await asyncio.gather(*(live.api.file(name, f"A fox in {name}.".encode()) for name in names))
    return found


@pytest.mark.parametrize("kind", ["assistant", "thread", "message", "vector store"])
async def test_300_changes_of_one_object(live: Live, kind: str) -> None:
    thread = await live.api.thread("hi")
    path = {"assistant": f"/assistants/{await live.api.assistant()}", "thread": f"/threads/{thread}"}.get(kind, "")
    if kind == "message":
        messages = f"/threads/{thread}/messages"
        path = f"{messages}/{(await live.api.ok('GET', messages))['data'][0]['id']}"
    if kind == "vector store":
        path = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    answers = await crowd(live, [(path, {"metadata": {"client": str(number)}}) for number in range(300)])
    none_failed(answers)
    assert len({reply.body["metadata"]["client"] for reply in answers}) == 300
    last: Json = {"client": "last"}
    await live.api.ok("POST", path, {"metadata": last})
    assert (await live.api.ok("GET", path))["metadata"] == last


async def test_300_files_are_put_singly_into_one_store_that_reads_them_meanwhile(live: Live) -> None:
    files = await texts(live, 300)
    store = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    none_failed(await crowd(live, [(f"{store}/files", {"file_id": one}) for one in files]))
    assert (await live.api.ok("GET", store))["file_counts"]["total"] == 300


async def test_a_second_batch_of_500_files_comes_while_the_first_is_read(live: Live) -> None:
    files = await texts(live, 1_000)
    store = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    first: Json = await live.api.ok("POST", f"{store}/file_batches", {"file_ids": files[:500]})
    second: Json = await live.api.ok("POST", f"{store}/file_batches", {"file_ids": files[500:]})
    assert (first["file_counts"]["total"], second["file_counts"]["total"]) == (500, 500)
    counts = (await live.api.ok("GET", store))["file_counts"]
    assert (counts["total"], counts["in_progress"] >= 500) == (1_000, True), "the first was being read"
    none_failed(await crowd(live, [(f"{store}/file_batches/{one['id']}/cancel", {}) for one in (first, second)]))
    counts = (await live.api.ok("GET", store))["file_counts"]
    assert (counts["in_progress"], counts["completed"] + counts["cancelled"]) == (0, 1_000)


async def test_60_messages_hand_one_thread_a_file_to_search(live: Live) -> None:
    files, thread = await texts(live, 60), await live.api.thread()
    tools = [{"type": "file_search"}]
    said = [{"role": "user", "content": "x", "attachments": [{"file_id": one, "tools": tools}]} for one in files]
    none_failed(await crowd(live, [(f"/threads/{thread}/messages", one) for one in said]))
    resources = (await live.api.ok("GET", f"/threads/{thread}"))["tool_resources"]
    (store,) = resources["file_search"]["vector_store_ids"]
    assert (await live.api.ok("GET", f"/vector_stores/{store}"))["file_counts"]["total"] == 60
