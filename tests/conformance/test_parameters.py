"""No parameter is accepted and dropped: whatever a request says comes back, at once and when asked for again."""

from typing import Any

from tests.conformance import bodies as b
from tests.support.serving import Live

Body = dict[str, Any]


async def said_with_files(live: Live, said: Any) -> Any:
    """The body, naming files that are there."""
    text, picture = await live.api.file("a.txt"), await live.api.file("a.png", purpose="vision")
    store = (await live.api.ok("POST", "/vector_stores", {}))["id"]
    return b.with_files(said, {b.TEXT: text, b.PICTURE: picture, b.STORE: store})


async def test_what_an_assistant_is_created_with_is_kept(live: Live) -> None:
    for said in await said_with_files(live, b.ASSISTANTS):
        made = await live.api.ok("POST", "/assistants", {"model": "rehearsal", **said})
        assert b.differences(said, made) == []
        assert await live.api.ok("GET", f"/assistants/{made['id']}") == made


async def test_what_an_assistant_is_modified_with_is_kept(live: Live) -> None:
    for said in await said_with_files(live, b.ASSISTANTS):
        path = f"/assistants/{await live.api.assistant(name='before')}"
        changed = await live.api.ok("POST", path, said)
        assert b.differences({"name": "before", **said}, changed) == []
        assert await live.api.ok("GET", path) == changed


async def test_what_a_run_is_created_with_is_kept(live: Live) -> None:
    efforts = [{"reasoning_effort": said} for said in b.EFFORTS]
    added = [{"additional_instructions": "Be polite."}, {"additional_messages": b.MESSAGES}]
    for said in await said_with_files(live, [*b.RUNS, *efforts, *added]):
        await check_run(live, said)


async def check_run(live: Live, said: Body) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("hi")
    run = await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant, **said})
    shown = {name: value for name, value in said.items() if name not in ("stream", "additional_messages")}
    if "additional_instructions" in shown:
        shown["instructions"] = shown.pop("additional_instructions")
    assert b.differences(shown, run) == []
    assert b.differences(shown, await live.api.ok("GET", f"/threads/{thread}/runs/{run['id']}")) == []
    added = (await live.api.ok("GET", f"/threads/{thread}/messages?order=asc"))["data"][1:]
    expected = [b.as_answered(message) for message in said.get("additional_messages", [])]
    assert b.differences(expected, added[: len(expected)]) == []


async def test_what_a_run_is_created_with_together_with_its_thread_is_kept(live: Live) -> None:
    thread = {"messages": [{"role": "user", "content": "hi"}]}
    assistant = await live.api.assistant()
    for said in b.RUNS:
        run = await live.api.ok("POST", "/threads/runs", {"assistant_id": assistant, "thread": thread, **said})
        shown = {name: value for name, value in said.items() if name != "stream"}
        assert b.differences(shown, run) == []
        assert b.differences(shown, await live.api.ok("GET", f"/threads/{run['thread_id']}/runs/{run['id']}")) == []


THREAD: Body = {"messages": b.MESSAGES, "metadata": {"k": "v"}, "tool_resources": b.RESOURCES}


async def check_thread(live: Live, thread: str, said: Body) -> None:
    found = await live.api.ok("GET", f"/threads/{thread}")
    assert b.differences({"metadata": {"k": "v"}, "tool_resources": said["tool_resources"]}, found) == []
    messages = (await live.api.ok("GET", f"/threads/{thread}/messages?order=asc"))["data"]
    assert b.differences([b.as_answered(one) for one in said["messages"]], messages[: len(b.MESSAGES)]) == []


async def test_what_a_thread_is_created_with_is_kept(live: Live) -> None:
    said = await said_with_files(live, THREAD)
    await check_thread(live, (await live.api.ok("POST", "/threads", said))["id"], said)


async def test_what_a_thread_is_created_with_together_with_its_run_is_kept(live: Live) -> None:
    said = await said_with_files(live, THREAD)
    body = {"assistant_id": await live.api.assistant(), "thread": said}
    await check_thread(live, (await live.api.ok("POST", "/threads/runs", body))["thread_id"], said)


async def test_a_run_created_with_its_thread_may_bring_the_threads_tool_resources(live: Live) -> None:
    thread = {"messages": [{"role": "user", "content": "hi"}]}
    resources = await said_with_files(live, b.RESOURCES)
    body = {"assistant_id": await live.api.assistant(), "thread": thread, "tool_resources": resources}
    run = await live.api.ok("POST", "/threads/runs", body)
    assert (await live.api.ok("GET", f"/threads/{run['thread_id']}"))["tool_resources"] == resources


async def test_what_a_thread_is_modified_with_is_kept(live: Live) -> None:
    path = f"/threads/{await live.api.thread()}"
    said = await said_with_files(live, {"metadata": {"k": "v"}, "tool_resources": b.RESOURCES})
    assert b.differences({"metadata": {"k": "v"}}, await live.api.ok("POST", path, said)) == []
    assert b.differences(said, await live.api.ok("GET", path)) == []


async def test_what_a_message_is_created_with_is_kept(live: Live) -> None:
    path = f"/threads/{await live.api.thread()}/messages"
    for said in await said_with_files(live, b.MESSAGES):
        made = await live.api.ok("POST", path, said)
        assert b.differences(b.as_answered(said), made) == []
        assert await live.api.ok("GET", f"{path}/{made['id']}") == made


async def test_a_thread_with_its_run_and_its_outputs_can_be_polled_without_a_stream(live: Live) -> None:
    said = [{"role": "user", "content": "call: weather {}\n---\nsay: it is {{output}}"}]
    assistant = await live.api.assistant(tools=[b.FUNCTION])
    body = {"assistant_id": assistant, "stream": False, "thread": {"messages": said}}
    run = await live.api.ok("POST", "/threads/runs", body)
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    waiting = await live.api.finished(run["thread_id"], run["id"])
    (call,) = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "fine"}], "stream": False}
    assert (await live.api.ok("POST", f"{path}/submit_tool_outputs", outputs))["status"] == "queued"
    assert (await live.api.finished(run["thread_id"], run["id"]))["status"] == "completed"
    newest = (await live.api.ok("GET", f"/threads/{run['thread_id']}/messages"))["data"][0]
    assert newest["content"][0]["text"]["value"] == "it is fine"


async def test_a_file_is_kept_for_every_purpose_and_listed_by_it(live: Live) -> None:
    for purpose in ("assistants", "batch", "fine-tune", "vision", "user_data", "evals"):
        made = await live.api.file("a.jsonl", purpose=purpose)
        assert [one["id"] for one in (await live.api.ok("GET", f"/files?purpose={purpose}"))["data"]] == [made]
        assert (await live.api.ok("GET", f"/files/{made}"))["purpose"] == purpose


async def test_what_a_file_is_created_with_is_kept(live: Live) -> None:
    life = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    made = await live.api.ok("GET", f"/files/{await live.api.file('a.txt', b'x', 'vision', **life)}")
    assert made["expires_at"] == made["created_at"] + 3600
