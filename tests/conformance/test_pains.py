"""What hurt users of the original, each a test named after its pain (behaviour.md 9). The page
docs/reference/fine-points.md tells the same list; its test is below."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.conformance.test_statuses import past_its_time
from tests.support import scripted as up
from tests.support.schema import plain_schemas
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Json, Live, serving
from threadmill.domain.run import RunStatus

WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "weather"}}
SEARCH: dict[str, Any] = {"type": "file_search"}
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fine-points.md"
CALL = "call: weather {}\n---\nsay: it is {{output}}"


async def waiting(live: Live) -> tuple[str, str, str]:
    """Thread, run and call of a run that waits for its client."""
    assistant, thread = await live.api.assistant(tools=[WEATHER]), await live.api.thread(CALL)
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data
    return thread, run["id"], run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]


async def test_pain_1_an_orphaned_run_locks_its_thread_until_another_client_cancels_it(live: Live) -> None:
    thread, run, _ = await waiting(live)  # and its client dies
    status, error = await live.api.refused("POST", f"/threads/{thread}/messages", {"role": "user", "content": "hello?"})
    found = re.search(r"run_\w+", error["message"])
    assert (status, found and found[0]) == (400, run)
    await live.api.ok("POST", f"/threads/{thread}/runs/{run}/cancel")
    await live.api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "free at once"})


async def test_pain_1_a_run_that_failed_leaves_its_thread_free(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("fail: server_error")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert events[-2].name == "thread.run.failed"
    await live.api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "again"})


async def test_pain_2_a_thread_is_free_as_soon_as_its_run_reads_cancelled(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: a b\nfail: stall")
    run = (await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
    cancelling = await live.api.ok("POST", f"/threads/{thread}/runs/{run}/cancel")
    assert cancelling["status"] == "cancelling"
    assert (await live.api.finished(thread, run))["status"] == "cancelled"
    await live.api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "next"})


async def test_pain_3_a_cancel_that_comes_too_late_says_so_in_the_words_clients_match(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: quick")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
    status, error = await live.api.refused("POST", f"/threads/{thread}/runs/{run}/cancel")
    assert (status, error["message"]) == (400, "Cannot cancel run with status 'completed'.")


async def test_pain_3_a_cancel_that_races_the_end_is_accepted_or_late_and_the_run_agrees(live: Live) -> None:
    assistant = await live.api.assistant()
    for _ in range(10):
        thread = await live.api.thread("say: quick")
        run = (await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        reply = await live.api.call("POST", f"/threads/{thread}/runs/{run}/cancel")
        ended = (await live.api.finished(thread, run))["status"]
        assert (reply.status, ended) in {(200, "cancelled"), (400, "completed")}


async def test_pain_4_clients_match_texts_by_pattern_and_read_ids_out_of_them(live: Live) -> None:
    thread, run, _ = await waiting(live)
    assistant, path = await live.api.assistant(), f"/threads/{thread}"
    asked: list[tuple[str, str, Json | None, str]] = [
        ("POST", f"{path}/messages", {"role": "user", "content": "x"}, r"Can't add messages to (\w+) while a run (\w+) is active\."),
        ("POST", f"{path}/runs", {"assistant_id": assistant}, r"Thread (\w+) already has an active run (\w+)\."),
        ("POST", f"{path}/runs/{run}/submit_tool_outputs", {"tool_outputs": []}, r"Expected tool outputs for call_ids \['call_\w+'\], got \[\]"),
        ("GET", "/assistants/asst_1", None, r"No assistant found with id 'asst_1'\."),
        ("GET", "/threads/thread_1", None, r"No thread found with id 'thread_1'\."),
    ]  # fmt: skip
    for method, where, body, pattern in asked:
        error = (await live.api.refused(method, where, body))[1]
        found = re.fullmatch(pattern, error["message"])
        assert found is not None, error["message"]
        assert found.groups() in ((), (thread, run))
    await live.api.ok("POST", f"{path}/runs/{run}/cancel")
    error = (await live.api.refused("POST", f"{path}/runs/{run}/submit_tool_outputs", {"tool_outputs": []}))[1]
    assert re.search("do not accept tool outputs", error["message"])


async def test_pain_5_the_content_of_a_listed_message_is_never_empty(live: Live, upstream: ScriptedUpstream) -> None:
    gate = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="He"), gate, up.delta(content="llo"), up.delta("stop"), up.DONE]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    async with live.api.opened(f"/threads/{thread}/runs", {"assistant_id": assistant}) as events:
        async for event in events:
            if event.name == "thread.message.delta":
                break
        newest = (await live.api.ok("GET", f"/threads/{thread}/messages"))["data"][0]
        assert newest["status"] == "in_progress"
        assert "Hello".startswith(newest["content"][0]["text"]["value"])
        assert await live.api.ok("GET", f"/threads/{thread}/messages/{newest['id']}") == newest
        gate.set()
        ended = [event async for event in events][-4].data
    assert ended["content"][0]["text"]["value"] == "Hello"


async def test_pain_5_a_message_that_was_cancelled_still_has_a_text(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("fail: stall")
    run = (await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
    await live.api.ok("POST", f"/threads/{thread}/runs/{run}/cancel")
    await live.api.finished(thread, run)
    said = (await live.api.ok("GET", f"/threads/{thread}/messages"))["data"]
    assert all(message["content"][0]["type"] == "text" for message in said)


def test_pain_6_no_status_leaves_the_server_that_a_poller_does_not_know() -> None:
    assert set(RunStatus) == set(plain_schemas()["RunObject"]["properties"]["status"]["enum"])


async def test_pain_7_an_id_that_reads_undefined_is_told_as_the_swapped_argument_it_is(live: Live) -> None:
    status, error = await live.api.refused("GET", "/threads/undefined/runs/thread_1")
    text = "Invalid 'thread_id': 'undefined'. Expected an ID that begins with 'thread'."
    assert (status, error["message"], error["param"]) == (400, text, "thread_id")


async def test_pain_8_a_function_that_takes_too_long_finds_its_run_expired(live: Live) -> None:
    thread, run, call = await waiting(live)
    await past_its_time(live, run)
    outputs = {"tool_outputs": [{"tool_call_id": call, "output": "late"}]}
    status, error = await live.api.refused("POST", f"/threads/{thread}/runs/{run}/submit_tool_outputs", outputs)
    assert (status, error["message"]) == (400, 'Runs in status "expired" do not accept tool outputs.')


async def test_pain_8_a_run_may_be_given_more_than_ten_minutes(tmp_path: Path) -> None:
    async with serving(tmp_path, RUN_TTL_SECONDS="86400") as live:
        thread, run, _ = await waiting(live)
        found = await live.api.ok("GET", f"/threads/{thread}/runs/{run}")
        assert found["expires_at"] - found["created_at"] == 86_400


async def test_pain_9_of_several_messages_of_a_run_the_first_listed_is_the_last_said(live: Live) -> None:
    assistant = await live.api.assistant(tools=[WEATHER])
    thread = await live.api.thread("say: let me see\ncall: nobody {}\n---\nsay: it is fine")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
    said = (await live.api.ok("GET", f"/threads/{thread}/messages?run_id={run}"))["data"]
    assert [message["content"][0]["text"]["value"] for message in said] == ["it is fine", "let me see"]
    assert {message["run_id"] for message in said} == {run}


async def test_pain_10_an_annotation_comes_whole_in_the_delta_of_its_own_marker(live: Live) -> None:
    marker, script = "【4:0†foods.txt】", "search: cake\n---\nsay: Cake【4:0†foods.txt】, as asked."
    assistant, file = await live.api.assistant(tools=[SEARCH]), await live.api.file("foods.txt", b"Filip likes cake.")
    said = {"role": "user", "content": script, "attachments": [{"file_id": file, "tools": [SEARCH]}]}
    thread = (await live.api.ok("POST", "/threads", {"messages": [said]}))["id"]
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    texts = [event.data["delta"]["content"][0]["text"] for event in events if event.name == "thread.message.delta"]
    ((text, (told,)),) = [(text["value"], text["annotations"]) for text in texts if text.get("annotations")]
    assert (text, told["text"], told["file_citation"]["file_id"], told["index"]) == (marker, marker, file, 0)
    ended = next(event.data for event in events if event.name == "thread.message.completed")["content"][0]["text"]
    (kept,) = ended["annotations"]
    assert ended["value"][kept["start_index"] : kept["end_index"]] == marker


async def test_pain_11_a_run_waits_for_the_files_its_thread_was_just_given(live: Live) -> None:
    assistant, file = await live.api.assistant(tools=[SEARCH]), await live.api.file("foods.txt", b"Filip likes cake.")
    said = {"role": "user", "content": "search: cake\n---\nsay: {{output}}"}
    attached = {**said, "attachments": [{"file_id": file, "tools": [SEARCH]}]}
    new = {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": [file]}]}}, "messages": [said]}
    empty = f"/threads/{await live.api.thread()}/runs"
    asked: tuple[tuple[str, Json], ...] = (
        ("/threads/runs", {"thread": {"messages": [attached]}}),
        ("/threads/runs", {"thread": new}),
        (empty, {"additional_messages": [attached]}),
    )
    for path, body in asked:  # right behind the upload, nothing polled
        events = await live.api.stream(path, {"assistant_id": assistant, **body})
        answer = next(event.data for event in events if event.name == "thread.message.completed")
        assert "Filip likes cake." in answer["content"][0]["text"]["value"]


async def test_pain_12_a_stores_status_and_its_counts_agree_at_every_read(live: Live) -> None:
    files = [await live.api.file(f"{number}.txt", b"Cats purr.") for number in range(3)]
    store = (await live.api.ok("POST", "/vector_stores", {"file_ids": files[:1]}))["id"]
    batch = await live.api.ok("POST", f"/vector_stores/{store}/file_batches", {"file_ids": files[1:]})
    seen: list[Json] = [batch]
    while any(one["file_counts"]["in_progress"] for one in seen[-2:]):
        for path in (f"/vector_stores/{store}", f"/vector_stores/{store}/file_batches/{batch['id']}"):
            seen.append(await live.api.ok("GET", path))
    assert len(seen) > 2
    for one in seen:
        counts = one["file_counts"]
        assert (one["status"] == "in_progress") is (counts["in_progress"] > 0)
        assert counts["total"] == counts["in_progress"] + counts["completed"] + counts["failed"] + counts["cancelled"]


async def test_pain_11_a_file_attached_is_the_threads_before_the_message_is_answered(live: Live) -> None:
    thread, file = await live.api.thread(), await live.api.file("a.csv")
    attached = [{"file_id": file, "tools": [{"type": "code_interpreter"}]}]
    await live.api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "x", "attachments": attached})
    resources = (await live.api.ok("GET", f"/threads/{thread}"))["tool_resources"]
    assert resources["code_interpreter"]["file_ids"] == [file]


async def test_pain_13_a_file_of_any_kind_may_be_uploaded_and_is_refused_only_where_it_is_searched(live: Live) -> None:
    file = await live.api.file("a.h")
    assert (await live.api.ok("GET", f"/files/{file}"))["filename"] == "a.h"
    store = (await live.api.ok("POST", "/vector_stores", {}))["id"]
    status, error = await live.api.refused("POST", f"/vector_stores/{store}/files", {"file_id": file})
    assert (status, error["param"], error["code"]) == (400, "file_id", "unsupported_file")
    assert "Files with extensions [.h] are not supported for retrieval" in error["message"]


async def test_pain_15_metadata_that_is_no_string_is_refused_and_says_where(live: Live) -> None:
    status, error = await live.api.refused("POST", "/threads", {"metadata": {"modified": True}})
    text = "Invalid type for 'metadata.modified': expected a string, but got a boolean instead."
    assert (status, error["message"], error["param"], error["code"]) == (400, text, "metadata.modified", "invalid_type")


async def test_pain_16_of_two_tabs_on_one_thread_one_wins_and_the_other_is_told_of_its_run(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: hi\nfail: stall")
    body = {"assistant_id": assistant}
    replies = await asyncio.gather(*(live.api.call("POST", f"/threads/{thread}/runs", body) for _ in range(8)))
    (won,) = [reply.body["id"] for reply in replies if reply.status == 200]
    lost = {reply.body["error"]["message"] for reply in replies if reply.status != 200}
    assert lost == {f"Thread {thread} already has an active run {won}."}
    assert [run["id"] for run in (await live.api.ok("GET", f"/threads/{thread}/runs"))["data"]] == [won]


async def test_pain_16_a_streamed_request_on_a_busy_thread_is_plain_json_and_no_stream(live: Live) -> None:
    thread, run, _ = await waiting(live)
    body = json.dumps({"assistant_id": await live.api.assistant(), "stream": True}).encode()
    async with live.api.session.post(f"{live.url}/threads/{thread}/runs", data=body, headers=live.api.headers) as reply:
        assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
        assert (await reply.json())["error"]["message"] == f"Thread {thread} already has an active run {run}."


async def test_pain_of_poll_storms_an_active_run_says_when_to_ask_again_and_an_ended_one_does_not(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("say: hi\nfail: stall")
    made = await live.api.call("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
    path = f"/threads/{thread}/runs/{made.body['id']}"
    polled = await asyncio.gather(*(live.api.call("GET", path) for _ in range(100)))
    # 100 for the first two seconds; a busy machine may be older than that here.
    assert all(100 <= int(reply.headers["openai-poll-after-ms"]) <= 2_000 for reply in (made, *polled))
    cancelled = await live.api.call("POST", f"{path}/cancel")
    assert 100 <= int(cancelled.headers["openai-poll-after-ms"]) <= 2_000
    await live.api.finished(thread, made.body["id"])
    assert "openai-poll-after-ms" not in (await live.api.call("GET", path)).headers


async def test_pain_of_strict_accumulators_a_submit_stream_says_nothing_of_steps_it_did_not_create(live: Live) -> None:
    # Any delta of the old step would be a KeyError in Python; tests/support/order.py holds every stream to the rest.
    thread, run, call = await waiting(live)
    outputs = {"tool_outputs": [{"tool_call_id": call, "output": "fine"}]}
    events = await live.api.stream(f"/threads/{thread}/runs/{run}/submit_tool_outputs", outputs)
    created = {event.data["id"] for event in events if event.name == "thread.run.step.created"}
    assert {event.data["id"] for event in events if event.name == "thread.run.step.delta"} <= created
    assert events[0].name == "thread.run.step.completed"
    assert events[0].data["id"] not in created


def test_every_pain_is_told_on_its_page_with_its_tests() -> None:
    page = PAGE.read_text()
    here = [name for name in globals() if name.startswith("test_pain_")]
    assert [name for name in here if f"`{name}`" not in page] == []
    assert [name for name in re.findall(r"`(test_pain_\w+)`", page) if name not in here] == []
    assert [number for number in range(1, 17) if f"| {number} |" not in page] == []
