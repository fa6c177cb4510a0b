"""/v1/vector_stores over HTTP, through the official SDK where it has a way to ask: filled, found, filtered, cancelled.

Every answer of `live.api` passes the schema checker; the SDK's are read by its own models.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError
from openai.types import FileChunkingStrategyParam, VectorStore
from openai.types.vector_stores import VectorStoreFile

from tests.support.embeddings import EmbeddingServer
from tests.support.sdk_stores import BRIDGES, CATS, POLL_MS, filled, sdk_of
from tests.support.serving import Json, Live


def agrees(said: Json) -> Json:
    """A store's or batch's status and counts say the same, and the counts add up."""
    counts: dict[str, int] = said["file_counts"]
    assert counts["total"] == sum(number for name, number in counts.items() if name != "total")
    assert (said["status"] == "in_progress") is (counts["in_progress"] > 0)
    return said


# --- stores


async def test_an_empty_store_is_complete_at_once_and_shown_in_the_services_order(live: Live) -> None:
    made = await live.api.ok("POST", "/vector_stores", {})
    assert list(made.items())[3:] == [
        ("name", None),
        ("description", None),
        ("usage_bytes", 0),
        ("file_counts", {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}),
        ("status", "completed"),
        ("expires_after", None),
        ("expires_at", None),
        ("last_active_at", made["created_at"]),
        ("metadata", {}),
    ]
    assert made["id"].startswith("vs_")
    assert await live.api.ok("GET", f"/vector_stores/{made['id']}") == made


async def test_a_store_can_be_made_without_a_body_and_without_the_beta_header(live: Live) -> None:
    async with live.api.session.post(f"{live.url}/vector_stores") as got:
        assert got.status == 200
        assert (await got.json())["object"] == "vector_store"


async def test_a_store_is_made_with_all_that_was_asked_and_counts_its_days(live: Live) -> None:
    file = await live.api.file("a.txt", CATS)
    body = {
        "name": "n",
        "description": "d",
        "file_ids": [file],
        "metadata": {"k": "v"},
        "expires_after": {"anchor": "last_active_at", "days": 3},
        "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}},
    }
    made = agrees(await live.api.ok("POST", "/vector_stores", body))
    assert (made["name"], made["description"], made["metadata"]) == ("n", "d", {"k": "v"})
    assert made["expires_at"] == made["last_active_at"] + 3 * 86_400
    assert made["file_counts"]["total"] == 1
    held = await live.api.ok("GET", f"/vector_stores/{made['id']}/files/{file}")
    assert held["chunking_strategy"] == body["chunking_strategy"]


async def test_modify_changes_what_is_named_and_null_takes_a_name_and_an_expiry_away(live: Live) -> None:
    made = await live.api.ok("POST", "/vector_stores", {"name": "n", "metadata": {"k": "v"}})
    one = f"/vector_stores/{made['id']}"
    changed = await live.api.ok("POST", one, {"expires_after": {"anchor": "last_active_at", "days": 1}})
    assert (changed["name"], changed["metadata"], changed["expires_after"]["days"]) == ("n", {"k": "v"}, 1)
    changed = await live.api.ok("POST", one, {"name": None, "expires_after": None, "metadata": {}})
    assert (changed["name"], changed["expires_after"], changed["expires_at"], changed["metadata"]) == (
        None,
        None,
        None,
        {},
    )
    assert await live.api.ok("POST", one, {}) | {"last_active_at": 0} == changed | {"last_active_at": 0}


async def test_stores_are_paged_by_the_sdk_newest_first(sdk: AsyncOpenAI) -> None:
    made = [(await sdk.vector_stores.create(name=str(number))).id for number in range(5)]
    assert [store.id async for store in sdk.vector_stores.list(limit=2)] == made[::-1]
    assert [store.id async for store in sdk.vector_stores.list(limit=2, order="asc")] == made
    page = await sdk.vector_stores.list(before=made[2])
    assert [store.id for store in page.data] == made[:2:-1]


async def test_a_deleted_store_is_gone_and_its_files_stay(sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("a.txt", CATS))
    held = await sdk.vector_stores.files.list(store.id)
    gone = await sdk.vector_stores.delete(store.id)
    assert (gone.id, gone.object, gone.deleted) == (store.id, "vector_store.deleted", True)
    with pytest.raises(NotFoundError):
        await sdk.vector_stores.retrieve(store.id)
    assert (await sdk.files.retrieve(held.data[0].id)).filename == "a.txt"


# --- files


async def test_upload_and_poll_makes_a_file_searchable(sdk: AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create()
    added = await sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("a.txt", CATS), attributes={"year": 2024, "kind": "note", "done": True}
    )
    assert (added.status, added.last_error, added.vector_store_id) == ("completed", None, store.id)
    assert added.usage_bytes == len(CATS) + 1024
    assert added.attributes == {"year": 2024, "kind": "note", "done": True}
    assert added.chunking_strategy is not None
    assert added.chunking_strategy.type == "static"
    assert added.chunking_strategy.static.max_chunk_size_tokens == 800
    store = await sdk.vector_stores.retrieve(store.id)
    assert (store.status, store.file_counts.completed, store.usage_bytes) == ("completed", 1, added.usage_bytes)


async def test_a_file_that_cannot_be_read_says_why_and_its_neighbour_is_read(sdk: AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create()
    batch = await sdk.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("empty.txt", b""), ("a.txt", CATS)], poll_interval_ms=POLL_MS
    )
    assert (batch.status, batch.file_counts.failed, batch.file_counts.completed) == ("completed", 1, 1)
    failed = [one async for one in sdk.vector_stores.files.list(store.id, filter="failed")]
    assert [(one.status, one.last_error and one.last_error.code) for one in failed] == [("failed", "invalid_file")]
    assert failed[0].last_error is not None
    assert failed[0].last_error.message
    assert (await sdk.vector_stores.retrieve(store.id)).status == "completed"


async def test_files_are_listed_by_status_and_paged_by_the_sdk(sdk: AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create()
    ids = [(await sdk.files.create(file=(f"{n}.txt", CATS), purpose="assistants")).id for n in range(5)]
    batch = await sdk.vector_stores.file_batches.create_and_poll(store.id, file_ids=ids, poll_interval_ms=POLL_MS)
    every = [one.id async for one in sdk.vector_stores.files.list(store.id, limit=2, order="asc")]
    assert sorted(every) == sorted(ids)
    assert [one.id async for one in sdk.vector_stores.files.list(store.id, limit=2)] == every[::-1]
    done = [one.id async for one in sdk.vector_stores.files.list(store.id, limit=3, filter="completed", order="asc")]
    assert done == every
    assert [one.id async for one in sdk.vector_stores.files.list(store.id, filter="cancelled")] == []
    through = sdk.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=2, order="asc")
    assert [one.id async for one in through] == every


async def test_attributes_are_replaced_as_a_whole(live: Live, sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("a.txt", CATS), a={"year": 2023, "kind": "note"})
    file = (await sdk.vector_stores.files.list(store.id)).data[0].id
    changed = await sdk.vector_stores.files.update(file, vector_store_id=store.id, attributes={"year": 2024.5})
    assert (changed.attributes, changed.status) == ({"year": 2024.5}, "completed")
    assert (await sdk.vector_stores.files.retrieve(file, vector_store_id=store.id)).attributes == {"year": 2024.5}
    assert (await live.api.ok("POST", f"/vector_stores/{store.id}/files/{file}", {"attributes": None}))[
        "attributes"
    ] == {}


async def test_the_content_of_a_file_is_what_was_read_from_it(live: Live, sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("a.html", b"<p>Hello <b>there</b></p><script>no()</script>"))
    file = (await sdk.vector_stores.files.list(store.id)).data[0].id
    content = await sdk.vector_stores.files.content(file, vector_store_id=store.id)
    assert [(part.type, (part.text or "").strip()) for part in content.data] == [("text", "Hello there")]
    said = await live.api.ok("GET", f"/vector_stores/{store.id}/files/{file}/content")
    assert list(said) == ["object", "data", "has_more", "next_page"]


async def test_a_file_taken_out_is_found_no_more_and_stays_a_file(sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("a.txt", CATS))
    file = (await sdk.vector_stores.files.list(store.id)).data[0].id
    assert (await sdk.vector_stores.search(store.id, query="cats")).data
    gone = await sdk.vector_stores.files.delete(file, vector_store_id=store.id)
    assert (gone.id, gone.object, gone.deleted) == (file, "vector_store.file.deleted", True)
    assert (await sdk.vector_stores.search(store.id, query="cats")).data == []
    store = await sdk.vector_stores.retrieve(store.id)
    assert (store.file_counts.total, store.usage_bytes) == (0, 0)
    assert (await sdk.files.retrieve(file)).id == file


async def test_a_deleted_file_leaves_every_store(sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("a.txt", CATS), ("b.txt", BRIDGES))
    file = (await sdk.vector_stores.files.list(store.id, order="asc")).data[0].id
    await sdk.files.delete(file)
    with pytest.raises(NotFoundError):
        await sdk.vector_stores.files.retrieve(file, vector_store_id=store.id)
    assert (await sdk.vector_stores.retrieve(store.id)).file_counts.total == 1


@pytest.mark.parametrize("name", ["a.xls", "a.h", "a.png", "a"])
async def test_a_kind_that_cannot_be_searched_is_refused_at_once(live: Live, name: str) -> None:
    file = await live.api.file(name, b"x")
    store = (await live.api.ok("POST", "/vector_stores", {}))["id"]
    for path, body in (
        (f"/vector_stores/{store}/files", {"file_id": file}),
        (f"/vector_stores/{store}/file_batches", {"file_ids": [file]}),
        (f"/vector_stores/{store}/file_batches", {"files": [{"file_id": file}]}),
        ("/vector_stores", {"file_ids": [file]}),
        ("/threads", {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": [file]}]}}}),
    ):
        status, error = await live.api.refused("POST", path, body)
        assert (status, error["code"]) == (400, "unsupported_file"), path
        assert "are not supported for retrieval" in error["message"]
    assert (await live.api.ok("GET", f"/vector_stores/{store}"))["file_counts"]["total"] == 0


async def test_a_table_is_found_by_row_and_header(sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("prices.csv", b"Fruit,Price\nApple,3\nPear,4\n"), ("b.txt", BRIDGES))
    (found, *_) = (await sdk.vector_stores.search(store.id, query="price of a pear")).data
    assert (found.filename, found.content[0].text) == (
        "prices.csv",
        "Fruit; Price\nFruit: Apple; Price: 3\nFruit: Pear; Price: 4\n",
    )


# --- batches


async def test_a_batch_gives_each_file_its_own_attributes_and_cut(sdk: AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create()
    first, second = [(await sdk.files.create(file=(f"{n}.txt", CATS), purpose="assistants")).id for n in "ab"]
    cut: FileChunkingStrategyParam = {
        "type": "static",
        "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 10},
    }
    batch = await sdk.vector_stores.file_batches.create(
        store.id, files=[{"file_id": first, "attributes": {"n": 1}}, {"file_id": second, "chunking_strategy": cut}]
    )
    batch = await sdk.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id, poll_interval_ms=POLL_MS)
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 2, 2)
    one, other = [await sdk.vector_stores.files.retrieve(file, vector_store_id=store.id) for file in (first, second)]
    assert (one.attributes, other.attributes) == ({"n": 1}, {})
    assert [strategy_of(held) for held in (one, other)] == [(800, 400), (100, 10)]


def strategy_of(file: VectorStoreFile) -> tuple[int, int]:
    assert file.chunking_strategy is not None
    assert file.chunking_strategy.type == "static"
    static = file.chunking_strategy.static
    return static.max_chunk_size_tokens, static.chunk_overlap_tokens


async def test_a_cancelled_batch_keeps_nothing_in_progress_and_the_store_goes_on(
    waiting: Live, embeddings: EmbeddingServer
) -> None:
    api = waiting.api
    ids = [await api.file(f"{n}.txt", f"file number {n}".encode()) for n in range(3)]
    store = f"/vector_stores/{(await api.ok('POST', '/vector_stores', {}))['id']}"
    batch = agrees(await api.ok("POST", f"{store}/file_batches", {"file_ids": ids}))
    assert (batch["status"], batch["file_counts"]["in_progress"]) == ("in_progress", 3)
    assert agrees(await api.ok("GET", store))["file_counts"] == batch["file_counts"]
    cancelled = agrees(await api.ok("POST", f"{store}/file_batches/{batch['id']}/cancel"))
    assert (cancelled["status"], cancelled["file_counts"]["cancelled"]) == ("cancelled", 3)
    assert agrees(await api.ok("GET", store))["status"] == "completed"
    listed = await api.ok("GET", f"{store}/file_batches/{batch['id']}/files?filter=cancelled")
    assert {one["id"] for one in listed["data"]} == set(ids)
    embeddings.gate.set()
    async with sdk_of(waiting) as sdk:
        again = await sdk.vector_stores.files.create_and_poll(ids[0], vector_store_id=store.rsplit("/", maxsplit=1)[-1])
    assert again.status == "completed"
    assert agrees(await api.ok("GET", f"{store}/file_batches/{batch['id']}"))["status"] == "cancelled"


async def test_a_batch_that_is_done_is_not_cancelled(sdk: AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create()
    batch = await sdk.vector_stores.file_batches.upload_and_poll(store.id, files=[("a.txt", CATS)])
    assert await sdk.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id) == batch


async def test_what_is_at_work_tells_pollers_to_come_back_soon(waiting: Live, embeddings: EmbeddingServer) -> None:
    file = await waiting.api.file("a.txt", CATS)
    made = await waiting.api.call("POST", "/vector_stores", {"file_ids": [file]})
    one = f"/vector_stores/{made.body['id']}"
    batch = await waiting.api.call("POST", f"{one}/file_batches", {"file_ids": [await waiting.api.file("b.txt", CATS)]})
    replies = [made, batch, await waiting.api.call("GET", f"{one}/files/{file}"), await waiting.api.call("GET", one)]
    assert all(100 <= int(reply.headers["openai-poll-after-ms"]) <= 2_000 for reply in replies)
    assert [reply.body["status"] for reply in replies] == ["in_progress"] * 4
    embeddings.gate.set()
    async with sdk_of(waiting) as sdk:
        await sdk.vector_stores.files.poll(file, vector_store_id=made.body["id"])
    assert "openai-poll-after-ms" not in (await waiting.api.call("GET", f"{one}/files/{file}")).headers


# --- search


async def test_a_search_finds_the_file_that_speaks_of_it(live: Live, sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("cats.txt", CATS), ("bridges.md", BRIDGES), cats={"kind": "pets"})
    found = (await sdk.vector_stores.search(store.id, query="why does my cat purr?")).data
    assert (found[0].filename, found[0].attributes, found[0].content[0].text) == (
        "cats.txt",
        {"kind": "pets"},
        CATS.decode(),
    )
    assert all(0 <= one.score <= 1 for one in found)
    said = await live.api.ok("POST", f"/vector_stores/{store.id}/search", {"query": ["cat", "bridge"]})
    assert list(said) == ["object", "search_query", "data", "has_more", "next_page"]
    assert (said["search_query"], said["has_more"], said["next_page"]) == (["cat", "bridge"], False, None)
    assert {one["filename"] for one in said["data"]} == {"cats.txt", "bridges.md"}
    assert list(said["data"][0]) == ["file_id", "filename", "score", "attributes", "content"]


async def names(sdk: AsyncOpenAI, store: VectorStore, **wanted: Any) -> Sequence[str]:
    """The names of the files a search finds, sorted."""
    found = await sdk.vector_stores.search(store.id, query="report", **wanted)
    return sorted(one.filename for one in found.data)


def eq(key: str, value: object, kind: str = "eq") -> Json:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (eq("year", 2024), ["b.txt"]),
        (eq("year", 2024, "ne"), ["a.txt", "c.txt", "d.txt"]),
        (eq("year", 2023, "gt"), ["b.txt", "c.txt"]),
        (eq("year", 2024, "gte"), ["b.txt", "c.txt"]),
        (eq("year", 2024, "lt"), ["a.txt"]),
        (eq("year", 2023.5, "lte"), ["a.txt"]),
        (eq("kind", ["old", "new"], "in"), ["a.txt", "b.txt"]),
        (eq("kind", ["old"], "nin"), ["b.txt", "c.txt", "d.txt"]),
        (eq("secret", value=True), ["c.txt"]),
        ({"type": "and", "filters": [eq("kind", "old", "ne"), eq("year", 2025, "lt")]}, ["b.txt"]),
        (
            {"type": "or", "filters": [eq("kind", "old"), {"type": "and", "filters": [eq("secret", value=True)]}]},
            ["a.txt", "c.txt"],
        ),
        ({"type": "and", "filters": []}, ["a.txt", "b.txt", "c.txt", "d.txt"]),
        ({"type": "or", "filters": []}, []),
    ],
)
async def test_a_filter_leaves_only_files_it_fits(sdk: AsyncOpenAI, wanted: Json, expected: list[str]) -> None:
    store = await filled(
        sdk,
        *((f"{name}.txt", f"The report of {name}.".encode()) for name in "abcd"),
        a={"year": 2023, "kind": "old"},
        b={"year": 2024, "kind": "new"},
        c={"year": 2025, "secret": True},
    )
    assert await names(sdk, store, filters=wanted) == expected


async def test_results_are_limited_in_number_and_by_score(sdk: AsyncOpenAI) -> None:
    store = await filled(sdk, ("a.txt", b"report report report"), ("b.txt", b"a report of something else entirely"))
    assert await names(sdk, store, max_num_results=1) == ["a.txt"]
    assert await names(sdk, store) == ["a.txt", "b.txt"]
    assert await names(sdk, store, ranking_options={"score_threshold": 1.0, "ranker": "none"}) == ["a.txt"]
    assert await names(sdk, store, rewrite_query=True, ranking_options={"ranker": "default-2024-11-15"})


async def test_weights_decide_which_half_of_a_search_counts(waiting: Live, embeddings: EmbeddingServer) -> None:
    embeddings.gate.set()
    async with sdk_of(waiting) as sdk:
        store = await filled(sdk, ("cats.txt", CATS), ("bridges.txt", BRIDGES))
    search = f"/vector_stores/{store.id}/search"
    body = {"query": BRIDGES.decode() + " cats cats purr", "max_num_results": 1}
    found: list[str] = []
    for text, meaning, query in ((1, 0, "cats"), (0, 1, BRIDGES.decode())):
        weights = {"hybrid_search": {"text_weight": text, "embedding_weight": meaning}}
        said = await waiting.api.ok("POST", search, body | {"query": query, "ranking_options": weights})
        found += [one["filename"] for one in said["data"]]
    assert found == ["cats.txt", "bridges.txt"]


# --- stores of assistants and threads


async def test_an_assistants_own_store_is_made_with_it_and_does_not_expire(sdk: AsyncOpenAI) -> None:
    file = await sdk.files.create(file=("a.txt", CATS), purpose="assistants")
    made = await sdk.beta.assistants.create(
        model="rehearsal",
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_stores": [{"file_ids": [file.id], "metadata": {"k": "v"}}]}},
    )
    assert made.tool_resources is not None
    assert made.tool_resources.file_search is not None
    (store_id,) = made.tool_resources.file_search.vector_store_ids or []
    store = await sdk.vector_stores.retrieve(store_id)
    assert (store.metadata, store.expires_after, store.file_counts.total) == ({"k": "v"}, None, 1)


async def test_a_threads_own_store_lives_for_seven_days_unless_told_otherwise(live: Live) -> None:
    file = await live.api.file("a.txt", CATS)
    for said, days in (({}, 7), ({"expires_after": {"anchor": "last_active_at", "days": 2}}, 2)):
        resources = {"file_search": {"vector_stores": [{"file_ids": [file], **said}]}}
        thread = await live.api.ok("POST", "/threads", {"tool_resources": resources})
        (store_id,) = thread["tool_resources"]["file_search"]["vector_store_ids"]
        assert (await live.api.ok("GET", f"/vector_stores/{store_id}"))["expires_after"]["days"] == days


async def test_a_message_attachment_brings_its_file_into_the_threads_store(live: Live) -> None:
    file = await live.api.file("a.txt", CATS)
    thread = await live.api.thread()
    attached = {"file_id": file, "tools": [{"type": "file_search"}]}
    body = {"role": "user", "content": "hi", "attachments": [attached]}
    await live.api.ok("POST", f"/threads/{thread}/messages", body)
    resources = (await live.api.ok("GET", f"/threads/{thread}"))["tool_resources"]
    (store_id,) = resources["file_search"]["vector_store_ids"]
    store = await live.api.ok("GET", f"/vector_stores/{store_id}")
    assert (store["expires_after"], store["file_counts"]["total"]) == ({"anchor": "last_active_at", "days": 7}, 1)
    held = await live.api.ok("GET", f"/vector_stores/{store_id}/files")
    assert [one["id"] for one in held["data"]] == [file]


async def test_a_store_that_does_not_exist_is_refused_where_it_is_named(live: Live) -> None:
    named = {"tool_resources": {"file_search": {"vector_store_ids": ["vs_none"]}}}
    for path, body in (("/threads", named), ("/assistants", {"model": "rehearsal", **named})):
        status, error = await live.api.refused("POST", path, body)
        assert (status, error["message"]) == (404, "Vector store vs_none not found.")
