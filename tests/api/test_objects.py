"""Assistants, threads and messages over HTTP: their lives, defaults, limits and ids."""

from typing import Any

import pytest

from tests.support.serving import Live


async def test_an_assistant_has_the_services_defaults_and_key_order(live: Live) -> None:
    made = await live.api.ok("POST", "/assistants", {"model": "gpt-4o"})
    assert list(made) == [
        "id",
        "object",
        "created_at",
        "name",
        "description",
        "model",
        "instructions",
        "tools",
        "top_p",
        "temperature",
        "reasoning_effort",
        "tool_resources",
        "metadata",
        "response_format",
    ]
    assert (made["top_p"], made["temperature"], made["response_format"], made["tools"]) == (1.0, 1.0, "auto", [])


async def test_an_assistant_lives_changes_and_dies(live: Live) -> None:
    assistant = await live.api.assistant(name="a", metadata={"k": "v"}, tools=[{"type": "code_interpreter"}])
    path = f"/assistants/{assistant}"
    changed = await live.api.ok("POST", path, {"name": "b", "metadata": {"x": "y"}, "description": None})
    assert (changed["name"], changed["metadata"], changed["tools"]) == ("b", {"x": "y"}, [{"type": "code_interpreter"}])
    assert await live.api.ok("GET", path) == changed
    assert changed["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    gone = {"id": assistant, "object": "assistant.deleted", "deleted": True}
    assert await live.api.ok("DELETE", path) == gone
    for method in ("GET", "DELETE"):
        status, error = await live.api.refused(method, path)
        assert (status, error["message"]) == (404, f"No assistant found with id '{assistant}'.")


async def test_runs_stay_when_their_assistant_goes(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: x")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
    await live.api.ok("DELETE", f"/assistants/{assistant}")
    assert (await live.api.ok("GET", f"/threads/{thread}/runs/{run}"))["status"] == "completed"


async def test_a_thread_is_made_from_nothing_and_from_messages(live: Live) -> None:
    bare = (await live.api.call("POST", "/threads", raw=b"")).body
    assert (bare["metadata"], bare["tool_resources"]) == ({}, {})
    fetched = await live.api.ok("GET", f"/threads/{bare['id']}")
    assert fetched["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    changed = await live.api.ok("POST", f"/threads/{bare['id']}", {"metadata": {"a": "b"}})
    assert (changed["metadata"], changed["tool_resources"]) == ({"a": "b"}, {})
    thread = await live.api.thread("one", "two")
    listed = (await live.api.ok("GET", f"/threads/{thread}/messages"))["data"]
    assert [m["content"][0]["text"]["value"] for m in listed] == ["two", "one"]
    assert (await live.api.ok("DELETE", f"/threads/{thread}"))["object"] == "thread.deleted"
    assert (await live.api.refused("GET", f"/threads/{thread}/messages"))[0] == 404


async def test_a_message_lives_changes_and_dies(live: Live) -> None:
    thread = await live.api.thread()
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]
    file = await live.api.file("a.csv")
    attachments = [{"file_id": file, "tools": [{"type": "code_interpreter"}]}]
    body = {"role": "user", "content": parts, "attachments": attachments, "metadata": {"k": "v"}}
    made = await live.api.ok("POST", f"/threads/{thread}/messages", body)
    assert made["content"][1] == {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "auto"}}
    assert made["attachments"] == attachments
    resources = (await live.api.ok("GET", f"/threads/{thread}"))["tool_resources"]
    assert resources == {"code_interpreter": {"file_ids": [file]}}
    path = f"/threads/{thread}/messages/{made['id']}"
    changed = await live.api.ok("POST", path, {"metadata": {"k": "w"}})
    assert (changed["file_ids"], changed["metadata"]) == ([], {"k": "w"})
    assert (await live.api.ok("GET", path))["metadata"] == {"k": "w"}
    assert (await live.api.ok("DELETE", path))["object"] == "thread.message.deleted"
    status, error = await live.api.refused("GET", path)
    assert (status, error["message"]) == (404, f"No message found with id '{made['id']}'.")


async def test_a_message_of_another_thread_is_not_found(live: Live) -> None:
    first, second = await live.api.thread("x"), await live.api.thread("y")
    message = (await live.api.ok("GET", f"/threads/{first}/messages"))["data"][0]["id"]
    assert (await live.api.refused("GET", f"/threads/{second}/messages/{message}"))[0] == 404


@pytest.mark.parametrize(
    ("path", "param", "prefix"),
    [
        ("/threads/undefined", "thread_id", "thread"),
        ("/assistants/undefined", "assistant_id", "asst"),
        ("/threads/thread_1/runs/undefined", "run_id", "run"),
        ("/threads/thread_1/messages/undefined", "message_id", "msg"),
        ("/threads/thread_1/runs/run_1/steps/undefined", "step_id", "step"),
    ],
)
async def test_an_id_that_cannot_be_one_is_told(live: Live, path: str, param: str, prefix: str) -> None:
    status, error = await live.api.refused("GET", path)
    text = f"Invalid '{param}': 'undefined'. Expected an ID that begins with '{prefix}'."
    assert (status, error["message"], error["param"]) == (400, text, param)


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=101", "limit", "integer_above_max_value"),
        ("limit=0", "limit", "integer_below_min_value"),
        ("limit=x", "limit", "invalid_type"),
        ("order=up", "order", "invalid_value"),
        ("after=asst_unknown", "after", "invalid_value"),
    ],
)
async def test_bad_list_parameters_are_told(live: Live, query: str, param: str, code: str) -> None:
    status, error = await live.api.refused("GET", f"/assistants?{query}")
    assert (status, error["param"], error["code"]) == (400, param, code)


async def test_lists_page_in_both_directions(live: Live) -> None:
    made = [await live.api.assistant(name=str(n)) for n in range(5)]
    page = await live.api.ok("GET", "/assistants?limit=2")
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (made[:2:-1], True)
    assert (page["first_id"], page["last_id"]) == (made[4], made[3])
    page = await live.api.ok("GET", f"/assistants?limit=2&order=asc&after={made[1]}")
    assert [one["id"] for one in page["data"]] == made[2:4]
    empty = await live.api.ok("GET", f"/assistants?order=asc&after={made[4]}")
    assert (empty["data"], empty["first_id"], empty["last_id"], empty["has_more"]) == ([], None, None, False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Missing required parameter: 'model'."),
        (
            {"model": "m", "metadata": {"a": True}},
            "Invalid type for 'metadata.a': expected a string, but got a boolean instead.",
        ),
        ({"model": "m", "surprise": 1}, "Unknown parameter: 'surprise'."),
        (
            {"model": "m", "metadata": {str(n): "" for n in range(17)}},
            (
                "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
                "but got an object with 17 properties instead."
            ),
        ),
    ],
)
async def test_bodies_are_refused_with_the_services_texts(live: Live, body: Any, message: str) -> None:
    status, error = await live.api.refused("POST", "/assistants", body)
    assert (status, error["message"]) == (400, message)


async def test_the_models_are_listed_and_found(live: Live) -> None:
    ids = [one["id"] for one in (await live.api.ok("GET", "/models"))["data"]]
    assert {"rehearsal", "gpt-test"} <= set(ids)
    assert (await live.api.ok("GET", "/models/rehearsal"))["object"] == "model"
    status, error = await live.api.refused("GET", "/models/none")
    assert (status, error["code"]) == (404, "model_not_found")
