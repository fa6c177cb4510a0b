"""No parameter of vector stores is accepted and dropped (behaviour.md 7.2 to 7.5)."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.conformance import bodies as b
from tests.support.embeddings import embedding_server
from tests.support.serving import Json, Live, serving
from threadmill.domain.ids import ProjectId, VectorStoreId
from threadmill.domain.vector_store import VectorStore
from threadmill.engine.ports.store import Insert, WriteSet

Body = dict[str, Any]

STATIC: Body = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}
AUTO: Body = {"type": "auto"}
AS_AUTO: Body = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
CHUNKINGS = ((AUTO, AS_AUTO), (STATIC, STATIC))
EXPIRY: Body = {"anchor": "last_active_at", "days": 3}
ATTRIBUTES: Body = {"lang": "en", "pages": 3, "draft": False}


async def read(live: Live, path: str) -> Json:
    """A store, file or batch once nothing of it is in progress."""
    while True:
        found = await live.api.ok("GET", path)
        if found["status"] != "in_progress":
            return found
        await asyncio.to_thread(lambda: None)


async def test_what_a_store_is_created_and_modified_with_is_kept(live: Live) -> None:
    said: Body = {"name": "docs", "description": "All of them.", "metadata": {"k": "v"}, "expires_after": EXPIRY}
    made = await live.api.ok("POST", "/vector_stores", said)
    assert b.differences(said, made) == []
    assert made["expires_at"] == made["last_active_at"] + 3 * 86_400
    path = f"/vector_stores/{made['id']}"
    assert await live.api.ok("GET", path) == made
    for change in ({"name": "new"}, {"metadata": {"k": "w"}}, {"expires_after": {**EXPIRY, "days": 9}}):
        assert b.differences(change, await live.api.ok("POST", path, change)) == []
        assert b.differences(change, await live.api.ok("GET", path)) == []


async def test_how_files_of_a_new_store_are_cut_is_kept(live: Live) -> None:
    for said, kept in CHUNKINGS:
        file = await live.api.file("a.txt", b"Cats purr.")
        store = await live.api.ok("POST", "/vector_stores", {"file_ids": [file], "chunking_strategy": said})
        path = f"/vector_stores/{store['id']}"
        assert (await live.api.ok("GET", f"{path}/files/{file}"))["chunking_strategy"] == kept
        assert (await read(live, path))["file_counts"]["completed"] == 1


async def test_what_a_file_of_a_store_is_created_and_modified_with_is_kept(live: Live) -> None:
    path = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}/files"
    for said, kept in CHUNKINGS:
        file = await live.api.file("a.txt", b"Cats purr.")
        body = {"file_id": file, "attributes": ATTRIBUTES, "chunking_strategy": said}
        made = await live.api.ok("POST", path, body)
        assert (made["id"], made["attributes"], made["chunking_strategy"]) == (file, ATTRIBUTES, kept)
        ended = await read(live, f"{path}/{file}")
        assert (ended["status"], ended["attributes"], ended["chunking_strategy"]) == ("completed", ATTRIBUTES, kept)
        changed = await live.api.ok("POST", f"{path}/{file}", {"attributes": {"only": "this"}})
        assert changed["attributes"] == {"only": "this"}
        assert await live.api.ok("GET", f"{path}/{file}") == changed


async def test_what_a_batch_says_of_its_files_is_kept(live: Live) -> None:
    store = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    for said, kept in CHUNKINGS:
        first, second = [await live.api.file(name, b"Cats purr.") for name in ("a.txt", "b.txt")]
        about: Body = {"attributes": ATTRIBUTES, "chunking_strategy": said}
        for body, file in (
            ({"file_ids": [first], **about}, first),
            ({"files": [{"file_id": second, **about}]}, second),
        ):
            batch = await live.api.ok("POST", f"{store}/file_batches", body)
            ended = await read(live, f"{store}/file_batches/{batch['id']}")
            assert (ended["status"], ended["file_counts"]["completed"]) == ("completed", 1)
            listed = (await live.api.ok("GET", f"{store}/file_batches/{batch['id']}/files"))["data"]
            assert [one["id"] for one in listed] == [file]
            found = await live.api.ok("GET", f"{store}/files/{file}")
            assert (found["attributes"], found["chunking_strategy"]) == (ATTRIBUTES, kept)


async def test_a_store_made_with_an_assistant_or_a_thread_is_as_it_was_asked_for(live: Live) -> None:
    assistant = await live.api.assistant()
    for said, kept in CHUNKINGS:
        for path, wrap in (("/assistants", False), ("/threads", False), ("/threads/runs", True)):
            file = await live.api.file("a.txt", b"Cats purr.")
            new: Body = {"file_ids": [file], "chunking_strategy": said, "metadata": {"k": "v"}}
            body: Body = {"tool_resources": {"file_search": {"vector_stores": [new]}}}
            if path == "/assistants":
                body["model"] = "rehearsal"
            if wrap:
                body = {"assistant_id": assistant, "thread": {**body, "messages": [{"role": "user", "content": "hi"}]}}
            made = await live.api.ok("POST", path, body)
            owner = made if not wrap else await live.api.ok("GET", f"/threads/{made['thread_id']}")
            (store,) = owner["tool_resources"]["file_search"]["vector_store_ids"]
            assert (await live.api.ok("GET", f"/vector_stores/{store}"))["metadata"] == {"k": "v"}
            assert (await live.api.ok("GET", f"/vector_stores/{store}/files/{file}"))["chunking_strategy"] == kept


SIZE: Body = {"key": "pages", "value": 3}
FILTERS: tuple[tuple[Body, bool], ...] = (
    *(({"type": kind, **SIZE}, kind in ("eq", "gte", "lte")) for kind in ("eq", "ne", "gt", "gte", "lt", "lte")),
    ({"type": "in", "key": "lang", "value": ["en", "de"]}, True),
    ({"type": "nin", "key": "lang", "value": ["en", "de"]}, False),
    ({"type": "eq", "key": "lang", "value": "en"}, True),
    *(
        ({"type": kind, "filters": [{"type": one, **SIZE} for one in pair]}, kind == "or")
        for kind in ("and", "or")
        for pair in (("eq", "ne"), ("gte", "gt"), ("lte", "lt"))
    ),
    (
        {
            "type": "and",
            "filters": [
                {"type": "in", "key": "lang", "value": ["en"]},
                {"type": "nin", "key": "lang", "value": ["de"]},
                {"type": "ne", "key": "lang", "value": "de"},
            ],
        },
        True,
    ),
)
"""Each with whether it lets a file through that has ATTRIBUTES."""


async def test_every_kind_of_filter_lets_through_what_it_says(live: Live) -> None:
    store = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    file = await live.api.file("a.txt", b"Cats purr when they are content.")
    await live.api.ok("POST", f"{store}/files", {"file_id": file, "attributes": ATTRIBUTES})
    await read(live, f"{store}/files/{file}")
    for said, through in FILTERS:
        found = await live.api.ok("POST", f"{store}/search", {"query": "cats purr", "filters": said})
        assert [one["file_id"] for one in found["data"]] == ([file] if through else []), said


async def test_every_option_of_a_search_is_taken(live: Live) -> None:
    store = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    for number in range(3):
        file = await live.api.file(f"{number}.txt", b"Cats purr when they are content.")
        await live.api.ok("POST", f"{store}/files", {"file_id": file})
        await read(live, f"{store}/files/{file}")
    for ranker in ("none", "auto", "default-2024-11-15"):
        ranking = {"ranker": ranker, "score_threshold": 0.0}
        found = await live.api.ok("POST", f"{store}/search", {"query": "cats purr", "ranking_options": ranking})
        assert len(found["data"]) == 3
    body: Body = {"query": ["cats", "purring cats"], "max_num_results": 2, "rewrite_query": True}
    found = await live.api.ok("POST", f"{store}/search", body)
    assert (found["search_query"], len(found["data"])) == (["cats", "purring cats"], 2)


async def test_files_of_a_store_and_of_a_batch_are_listed_by_status(live: Live) -> None:
    store = f"/vector_stores/{(await live.api.ok('POST', '/vector_stores', {}))['id']}"
    file = await live.api.file("a.txt", b"Cats purr.")
    batch = await live.api.ok("POST", f"{store}/file_batches", {"file_ids": [file]})
    await read(live, f"{store}/file_batches/{batch['id']}")
    for path in (f"{store}/files", f"{store}/file_batches/{batch['id']}/files"):
        for status in ("in_progress", "completed", "failed", "cancelled"):
            listed = (await live.api.ok("GET", f"{path}?filter={status}"))["data"]
            assert [one["id"] for one in listed] == ([file] if status == "completed" else [])
        error = (await live.api.refused("GET", f"{path}?filter=done"))[1]
        assert (error["param"], error["code"]) == ("filter", "invalid_value")


async def test_a_store_whose_days_are_over_reads_expired(live: Live) -> None:
    made = await live.api.ok("POST", "/vector_stores", {"expires_after": {**EXPIRY, "days": 1}})
    store = await live.assembly.engine.ports.store.get(VectorStore, ProjectId("default"), made["id"])
    assert store is not None
    old = replace(store, id=VectorStoreId("vs_old"), last_active_at=store.last_active_at - 86_400)
    await live.assembly.engine.ports.store.apply(WriteSet((Insert(old),)))
    found = await live.api.ok("GET", "/vector_stores/vs_old")
    assert (found["status"], found["expires_at"]) == ("expired", made["created_at"])


async def test_a_file_that_cannot_be_embedded_fails_and_says_why(tmp_path: Path) -> None:
    async with embedding_server() as embedder, serving(tmp_path, embedder.url, EMBEDDING_MODEL="m") as live:
        embedder.answer({"error": {"message": "no such model"}}, status=404)
        file = await live.api.file("a.txt", b"Cats purr.")
        store = await live.api.ok("POST", "/vector_stores", {"file_ids": [file]})
        ended = await read(live, f"/vector_stores/{store['id']}/files/{file}")
        assert (ended["status"], ended["last_error"]["code"]) == ("failed", "server_error")
        counted = await live.api.ok("GET", f"/vector_stores/{store['id']}")
        assert (counted["status"], counted["file_counts"]["failed"]) == ("completed", 1)
