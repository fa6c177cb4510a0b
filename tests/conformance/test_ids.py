"""Wrong ids of every kind, in every place an id may stand: paths, bodies and cursors (behaviour.md 8.3)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from tests.conformance.scope import gap_of
from tests.conformance.world import World, world
from tests.support.schema import operations
from tests.support.serving import Live
from tests.support.surface import Fact, query_schemas

PREFIX = {
    "assistant_id": "asst",
    "thread_id": "thread",
    "message_id": "msg",
    "run_id": "run",
    "step_id": "step",
    "vector_store_id": "vs",
    "batch_id": "vsfb",
    "upload_id": "upload",
}
NOUN = {
    "batch_id": "file batch",
    "assistant_id": "assistant",
    "thread_id": "thread",
    "message_id": "message",
    "run_id": "run",
    "step_id": "run step",
}
ABOVE = {
    "message_id": ("thread_id",),
    "run_id": ("thread_id",),
    "step_id": ("thread_id", "run_id"),
    "batch_id": ("vector_store_id",),
}
"""What must be right for an id to be looked for."""


class Place(NamedTuple):
    """An id in the path of an operation."""

    operation: str
    param: str


def _places() -> Iterator[Place]:
    for operation in operations():
        if gap_of(Fact("status", operation.name, "200")) is None:
            yield from (Place(operation.name, param) for param in re.findall(r"\{(\w+)\}", operation.name))


PLACES = tuple(_places())
OURS = [place for place in PLACES if place.param in PREFIX]


async def refusal(live: Live, here: World, operation: str) -> tuple[int, dict[str, object]]:
    method, _, path = here.placed(operation).partition(" ")
    body = here.body(operation, {}) if method == "POST" else None
    return await live.api.refused(method, path, body)


def with_id(here: World, param: str, wrong: str) -> World:
    return replace(here, ids={**here.ids, param: wrong})


def not_found(param: str, wrong: str) -> tuple[int, dict[str, object]]:
    if param == "upload_id":
        text = f"No such Upload object: {wrong}"
        return 404, {"message": text, "type": "invalid_request_error", "param": "id", "code": None}
    if param == "vector_store_id":
        error = {"message": f"Vector store {wrong} not found."}
    else:
        error = {"message": f"No {NOUN[param]} found with id '{wrong}'."}
    return 404, {**error, "type": "invalid_request_error", "param": None, "code": None}


async def test_an_id_that_cannot_be_one_or_is_of_another_kind_names_the_prefix(live: Live) -> None:
    here = await world(live)
    for operation, param in OURS:
        others = [known for name, known in here.ids.items() if name != "model" and not known.startswith(PREFIX[param])]
        for wrong in ("undefined", "null", "None", "1", f"x{here.ids[param]}", *others):
            error = {
                "message": f"Invalid '{param}': '{wrong}'. Expected an ID that begins with '{PREFIX[param]}'.",
                "type": "invalid_request_error",
                "param": param,
                "code": "invalid_value",
            }
            assert await refusal(live, with_id(here, param, wrong), operation) == (400, error), operation


async def test_an_id_nobody_has_is_not_found(live: Live) -> None:
    here = await world(live)
    for operation, param in OURS:
        for wrong in (f"{PREFIX[param]}_{'0' * 24}", f"{PREFIX[param]}_1", here.ids[param][:-1], f"{here.ids[param]}0"):
            assert await refusal(live, with_id(here, param, wrong), operation) == not_found(param, wrong), operation


async def test_an_id_below_another_thread_or_run_is_not_found(live: Live) -> None:
    here, there = await world(live), await world(live)
    for operation, param in OURS:
        if param in ABOVE:
            mixed = with_id(here, param, there.ids[param])
            assert await refusal(live, mixed, operation) == not_found(param, there.ids[param]), operation


@pytest.mark.parametrize("param", ["assistant_id", "thread_id", "message_id", "vector_store_id"])
async def test_an_id_that_was_deleted_is_not_found(live: Live, param: str) -> None:
    here = await world(live)
    delete = next(
        one.name for one in operations() if one.name.startswith("DELETE") and one.name.endswith(f"{{{param}}}")
    )
    method, _, path = here.placed(delete).partition(" ")
    await live.api.ok(method, path)
    for operation, named in PLACES:
        if named == param:
            assert await refusal(live, here, operation) == not_found(param, here.ids[param]), operation


async def test_a_file_that_was_deleted_is_not_found_anywhere(live: Live) -> None:
    here = await world(live)
    await live.api.ok("DELETE", f"/files/{here.ids['file_id']}")
    for operation, param in PLACES:
        if param == "file_id":
            told = await refusal(live, here, operation)
            assert told == (no_store_file(here, here.ids[param]) if "vector" in operation else no_file(here.ids[param]))


def no_store_file(here: World, wrong: str) -> tuple[int, dict[str, object]]:
    text = f"No file found with id '{wrong}' in vector store '{here.ids['vector_store_id']}'."
    return 404, {"message": text, "type": "invalid_request_error", "param": None, "code": None}


def no_file(wrong: str) -> tuple[int, dict[str, object]]:
    error: dict[str, object] = {
        "message": f"No such File object: {wrong}",
        "type": "invalid_request_error",
        "param": "id",
    }
    return 404, {**error, "code": None}


async def test_a_file_nobody_has_is_told_in_the_words_of_files(live: Live) -> None:
    here = await world(live)
    for operation, param in PLACES:
        if param == "file_id" and "vector" not in operation:
            for wrong in ("undefined", "file-1", here.ids["thread_id"]):
                assert await refusal(live, with_id(here, param, wrong), operation) == no_file(wrong)


async def test_a_file_that_is_not_in_the_store_is_not_found_there(live: Live) -> None:
    here, other = await world(live), await live.api.file("b.txt")
    for operation, param in PLACES:
        if param == "file_id" and "vector" in operation:
            for wrong in ("file-1", other):
                assert await refusal(live, with_id(here, param, wrong), operation) == no_store_file(here, wrong)
            error = (await refusal(live, with_id(here, param, here.ids["thread_id"]), operation))[1]
            assert (error["param"], error["code"]) == ("file_id", "invalid_value")


async def test_an_assistant_in_a_body_is_looked_at_like_one_in_a_path(live: Live) -> None:
    here = await world(live)
    for operation in ("POST /threads/{thread_id}/runs", "POST /threads/runs"):
        for wrong in ("undefined", "", here.ids["thread_id"]):
            status, error = await refusal(live, with_id(here, "assistant_id", wrong), operation)
            text = f"Invalid 'assistant_id': '{wrong}'. Expected an ID that begins with 'asst'."
            assert (status, error["message"], error["param"]) == (400, text, "assistant_id")
        assert await refusal(live, with_id(here, "assistant_id", "asst_1"), operation) == not_found(
            "assistant_id", "asst_1"
        )


async def test_a_cursor_that_is_not_in_the_list_is_told(live: Live) -> None:
    here, there = await world(live), await world(live)
    lists = [
        one for one in operations() if "limit" in query_schemas(one) and gap_of(Fact("status", one.name, "200")) is None
    ]
    assert len(lists) == 9
    foreign = {"messages": "message_id", "runs": "run_id", "steps": "step_id", "vector_stores": "message_id"}
    for one in lists:
        path = here.placed(one.name).removeprefix("GET ")
        other = there.ids[foreign.get(path.rpartition("/")[2], "message_id")]
        for name in {"after", "before"} & set(query_schemas(one)):
            for wrong in ("undefined", "1", other, f"{here.ids['thread_id']}"):
                if path == "/threads" and wrong.startswith("thread"):
                    continue
                error = {
                    "message": f"No object found with id '{wrong}' in this list.",
                    "type": "invalid_request_error",
                    "param": name,
                    "code": "invalid_value",
                }
                assert await live.api.refused("GET", f"{path}?{name}={wrong}") == (400, error), path


async def test_a_deleted_message_is_no_cursor_any_more(live: Live) -> None:
    here = await world(live)
    path = here.placed("/threads/{thread_id}/messages")
    await live.api.ok("DELETE", f"{path}/{here.ids['message_id']}")
    status, error = await live.api.refused("GET", f"{path}?after={here.ids['message_id']}")
    assert (status, error["param"]) == (400, "after")


@pytest.mark.parametrize(
    ("query", "message", "param", "code"),
    [
        ("limit=ten", "Invalid type for 'limit': expected an integer, but got a string instead.", "limit", "invalid_type"),
        ("limit=true", "Invalid type for 'limit': expected an integer, but got a string instead.", "limit", "invalid_type"),
        ("limit=1.0", "Invalid type for 'limit': expected an integer, but got a string instead.", "limit", "invalid_type"),
        (
            "limit=-1",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got -1 instead.",
            "limit",
            "integer_below_min_value",
        ),
        ("order=DESC", "Invalid value: 'DESC'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"),
        ("order=newest", "Invalid value: 'newest'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"),
    ],
)  # fmt: skip
async def test_a_bad_list_parameter_is_told_on_every_list(
    live: Live, query: str, message: str, param: str, code: str
) -> None:
    here = await world(live)
    for one in operations():
        if "limit" in query_schemas(one) and gap_of(Fact("status", one.name, "200")) is None:
            error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
            path = here.placed(one.name).removeprefix("GET ")
            assert await live.api.refused("GET", f"{path}?{query}") == (400, error), path
