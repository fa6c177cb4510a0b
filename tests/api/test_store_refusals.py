"""/v1/vector_stores over HTTP: what is not there, not whole, or another project's is refused by name."""

from dataclasses import replace
from pathlib import Path

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from tests.support.sdk_stores import CATS, filled, sdk_of
from tests.support.serving import Json, Live, serving

RED, BLUE = "key-of-project-red", "key-of-project-blue"

STORE, FILE, BATCH = "vs_none", "file-none", "vsfb_none"
MISSING: list[tuple[str, str, Json | None]] = [
    ("GET", "", None),
    ("POST", "", {}),
    ("DELETE", "", None),
    ("POST", "/search", {"query": "q"}),
    ("GET", "/files", None),
    ("POST", "/files", {"file_id": "FILE"}),
    ("GET", f"/files/{FILE}", None),
    ("POST", f"/files/{FILE}", {"attributes": {}}),
    ("DELETE", f"/files/{FILE}", None),
    ("GET", f"/files/{FILE}/content", None),
    ("POST", "/file_batches", {"file_ids": ["FILE"]}),
    ("GET", f"/file_batches/{BATCH}", None),
    ("POST", f"/file_batches/{BATCH}/cancel", None),
    ("GET", f"/file_batches/{BATCH}/files", None),
]
"""Every operation on a store. FILE in a body stands for a file that does exist."""


@pytest.mark.parametrize(("method", "tail", "body"), MISSING)
async def test_a_store_that_is_not_there_is_told_by_its_id(
    live: Live, method: str, tail: str, body: Json | None
) -> None:
    file = await live.api.file("a.txt", CATS)
    said = body and {("FILE" in str(value) and key) or key: _put(value, file) for key, value in body.items()}
    status, error = await live.api.refused(method, f"/vector_stores/{STORE}{tail}", said)
    assert (status, error["type"], error["message"]) == (
        404,
        "invalid_request_error",
        f"Vector store {STORE} not found.",
    )


def _put(value: object, file: str) -> object:
    return file if value == "FILE" else [file] if value == ["FILE"] else value


@pytest.mark.parametrize(("method", "tail", "body"), [row for row in MISSING if FILE in row[1] or BATCH in row[1]])
async def test_a_file_or_batch_that_is_not_in_the_store_is_told_by_its_id(
    live: Live, method: str, tail: str, body: Json | None
) -> None:
    store = (await live.api.ok("POST", "/vector_stores", {}))["id"]
    status, error = await live.api.refused(method, f"/vector_stores/{store}{tail}", body)
    assert status == 404
    assert (FILE if FILE in tail else BATCH) in error["message"]


@pytest.mark.parametrize(("method", "tail", "body"), MISSING)
async def test_an_id_of_another_kind_is_refused_by_name(live: Live, method: str, tail: str, body: Json | None) -> None:
    store = (await live.api.ok("POST", "/vector_stores", {}))["id"]
    places = [(f"thread_1{tail}", "vector_store_id", "vs")]
    if FILE in tail:
        places.append((f"{store}{tail.replace(FILE, 'undefined')}", "file_id", "file"))
    if BATCH in tail:
        places.append((f"{store}{tail.replace(BATCH, 'vs_1')}", "batch_id", "vsfb"))
    for path, param, prefix in places:
        status, error = await live.api.refused(method, f"/vector_stores/{path}", body)
        assert (status, error["param"], error["code"]) == (400, param, "invalid_value")
        assert error["message"].endswith(f"Expected an ID that begins with '{prefix}'.")


async def test_a_batch_of_another_store_is_not_in_this_one(sdk: AsyncOpenAI) -> None:
    one, other = [await sdk.vector_stores.create() for _ in range(2)]
    batch = await sdk.vector_stores.file_batches.upload_and_poll(one.id, files=[("a.txt", CATS)])
    batches = sdk.vector_stores.file_batches
    with pytest.raises(NotFoundError):
        await batches.retrieve(batch.id, vector_store_id=other.id)
    with pytest.raises(NotFoundError):
        await batches.cancel(batch.id, vector_store_id=other.id)
    with pytest.raises(NotFoundError):
        await batches.list_files(batch.id, vector_store_id=other.id)


async def test_files_that_do_not_exist_are_named_and_nothing_is_made(live: Live) -> None:
    store = (await live.api.ok("POST", "/vector_stores", {}))["id"]
    for path, body in (
        ("/vector_stores", {"file_ids": [FILE]}),
        (f"/vector_stores/{store}/files", {"file_id": FILE}),
        (f"/vector_stores/{store}/file_batches", {"file_ids": [FILE]}),
    ):
        status, error = await live.api.refused("POST", path, body)
        assert (status, error["message"]) == (400, f"The following files were not found: {FILE}.")
    assert [one["id"] for one in (await live.api.ok("GET", "/vector_stores"))["data"]] == [store]


async def test_limits_hold_over_http(live: Live, sdk: AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create()
    with pytest.raises(BadRequestError) as caught:
        await sdk.vector_stores.search(store.id, query="q", max_num_results=51)
    assert (caught.value.param, caught.value.code) == ("max_num_results", "integer_above_max_value")
    for query in ("limit=101", "limit=0", "order=up", "filter=done", "after=file-none"):
        assert (await live.api.refused("GET", f"/vector_stores/{store.id}/files?{query}"))[0] == 400


async def test_another_projects_store_is_not_there(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, keys=f"red={RED},blue={BLUE}") as live,
        sdk_of(live, RED) as red,
        sdk_of(live, BLUE) as blue,
    ):
        store = await filled(red, ("a.txt", CATS))
        assert (await blue.vector_stores.list()).data == []
        api = replace_headers(live, BLUE)
        for method, tail, body in MISSING:
            if "FILE" not in str(body):
                assert (await api.api.refused(method, f"/vector_stores/{store.id}{tail}", body))[0] == 404
        file = (await red.vector_stores.files.list(store.id)).data[0].id
        own = await blue.vector_stores.create()
        with pytest.raises((BadRequestError, NotFoundError)):
            await blue.vector_stores.files.create(own.id, file_id=file)


def replace_headers(live: Live, key: str) -> Live:
    """The same server, asked with another key."""
    api = type(live.api)(live.api.base, live.api.session, {"Authorization": f"Bearer {key}"})
    return replace(live, api=api)
