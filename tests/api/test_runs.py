"""Runs over HTTP: whole lives, streamed and polled, against the rehearsal and a scripted upstream."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import scripted as up
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Live, Sent, serving
from tests.support.stage import turn_of_the_loop
from threadmill.api.http import poll_after
from threadmill.api.loop_lag import TICK, LoopLag
from threadmill.wire.deviations import ADDED_PARAMETERS

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
PLAIN = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
    "done",
]


def names(events: list[Sent]) -> list[str]:
    return [event.name for event in events]


def named(events: list[Sent], name: str) -> list[Any]:
    return [event.data for event in events if event.name == name]


async def test_a_plain_run_streams_its_events_in_the_services_order(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("Hello", " world"))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert names(events) == PLAIN
    created, queued = events[0].data, events[1].data
    assert created == queued
    assert created["status"] == "queued"
    assert created["started_at"] is None
    done = named(events, "thread.run.completed")[0]
    assert done["usage"]["total_tokens"] == 15
    assert done["expires_at"] is None


async def test_only_the_first_delta_of_a_part_carries_annotations(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("Hello", " world"))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    texts = [delta["delta"]["content"][0]["text"] for delta in named(events, "thread.message.delta")]
    assert texts == [{"value": "Hello", "annotations": []}, {"value": " world"}]


async def test_polling_and_streaming_show_the_same_objects(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("Hello"))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    streamed = named(events, "thread.run.completed")[0]
    polled = await live.api.ok("GET", f"/threads/{thread}/runs/{streamed['id']}")
    assert polled | {"tool_resources": None} == streamed | {"tool_resources": None}
    message = named(events, "thread.message.completed")[0]
    assert await live.api.ok("GET", f"/threads/{thread}/messages/{message['id']}") == message
    step = named(events, "thread.run.step.completed")[0]
    found = await live.api.ok("GET", f"/threads/{thread}/runs/{streamed['id']}/steps/{step['id']}")
    assert found == step | {"expires_at": None}


async def test_functions_in_parallel_share_one_step_and_go_on_when_answered(
    live: Live, upstream: ScriptedUpstream
) -> None:
    upstream.answer(up.calls(("call_a", "weather", '{"x":1}'), ("call_b", "weather", "")), up.text("Done."))
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert names(events)[-2:] == ["thread.run.requires_action", "done"]
    run = events[-2].data
    wanted = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in wanted] == [("call_a", '{"x":1}'), ("call_b", "{}")]
    assert run["usage"] is None
    outputs = [{"tool_call_id": "call_b", "output": "B"}, {"tool_call_id": "call_a", "output": "A"}]
    rest = await live.api.stream(f"/threads/{thread}/runs/{run['id']}/submit_tool_outputs", {"tool_outputs": outputs})
    assert names(rest)[:4] == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
    ]
    assert [c["function"]["output"] for c in rest[0].data["step_details"]["tool_calls"]] == ["A", "B"]
    sent = upstream.asked[1].body["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
    assert [m["tool_call_id"] for m in sent[2:]] == ["call_a", "call_b"]
    assert rest[-2].data["usage"]["total_tokens"] == 30


@pytest.mark.parametrize(
    ("ids", "got"), [(["call_a"], "['call_a']"), (["call_a", "call_x"], "['call_a', 'call_x']"), ([], "[]")]
)
async def test_wrong_tool_outputs_are_refused_with_the_services_text(
    live: Live, upstream: ScriptedUpstream, ids: list[str], got: str
) -> None:
    upstream.answer(up.calls(("call_a", "weather", "{}"), ("call_b", "weather", "{}")))
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
    outputs = [{"tool_call_id": one, "output": "x"} for one in ids]
    path = f"/threads/{thread}/runs/{run}/submit_tool_outputs"
    status, error = await live.api.refused("POST", path, {"tool_outputs": outputs})
    assert (status, error["message"]) == (400, f"Expected tool outputs for call_ids ['call_a', 'call_b'], got {got}")


async def test_two_clients_submitting_at_once_have_one_winner(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.calls(("call_a", "weather", "{}")), up.text("ok"))
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
    body = {"tool_outputs": [{"tool_call_id": "call_a", "output": "x"}]}
    path = f"/threads/{thread}/runs/{run}/submit_tool_outputs"
    replies = await asyncio.gather(*(live.api.call("POST", path, body) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [200, 400, 400, 400, 400]
    refusals = {reply.body["error"]["message"] for reply in replies if reply.status == 400}
    assert all("do not accept tool outputs." in text for text in refusals)
    await live.api.finished(thread, run)


async def test_a_cancel_closes_the_upstream_and_ends_cancelled(live: Live, upstream: ScriptedUpstream) -> None:
    never = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="Hel"), never]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    async with live.api.opened(f"/threads/{thread}/runs", {"assistant_id": assistant}) as events:
        run = (await anext(events)).data["id"]
        async for event in events:
            if event.name == "thread.message.delta":
                break
        answer = await live.api.ok("POST", f"/threads/{thread}/runs/{run}/cancel")
        assert answer["status"] == "cancelling"
        assert answer["cancelled_at"] is None
        rest = [event async for event in events]
    assert names(rest) == [
        "thread.run.cancelling",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
        "done",
    ]
    message = rest[1].data
    assert message["incomplete_details"] == {"reason": "run_cancelled"}
    assert message["content"][0]["text"]["value"] == "Hel"
    await (await upstream.request()).gone.wait()
    status, error = await live.api.refused("POST", f"/threads/{thread}/runs/{run}/cancel")
    assert (status, error["message"]) == (400, "Cannot cancel run with status 'cancelled'.")


async def test_a_run_waiting_for_its_client_is_cancelled_at_once(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.calls(("call_a", "weather", "{}")))
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
    assert (await live.api.ok("POST", f"/threads/{thread}/runs/{run}/cancel"))["status"] == "cancelling"
    found = await live.api.ok("GET", f"/threads/{thread}/runs/{run}")
    assert (found["status"], found["required_action"]) == ("cancelled", None)
    steps = await live.api.ok("GET", f"/threads/{thread}/runs/{run}/steps")
    assert [step["status"] for step in steps["data"]] == ["cancelled"]
    await live.api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "free again"})


async def test_an_active_run_locks_its_thread_with_the_services_texts(live: Live, upstream: ScriptedUpstream) -> None:
    gate = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="x"), gate, up.delta("stop"), up.usage(), up.DONE]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    run = (await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
    status, error = await live.api.refused("POST", f"/threads/{thread}/messages", {"role": "user", "content": "x"})
    assert (status, error["message"]) == (400, f"Can't add messages to {thread} while a run {run} is active.")
    status, error = await live.api.refused("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert (status, error["message"]) == (400, f"Thread {thread} already has an active run {run}.")
    status, error = await live.api.refused("POST", f"/threads/{thread}/runs/{run}", {"metadata": {}})
    assert (status, error["message"]) == (400, "Cannot update run with status 'in_progress'.")
    gate.set()
    assert (await live.api.finished(thread, run))["status"] == "completed"
    changed = await live.api.ok("POST", f"/threads/{thread}/runs/{run}", {"metadata": {"a": "b"}})
    assert changed["metadata"] == {"a": "b"}


async def test_a_client_that_leaves_does_not_stop_the_run(live: Live, upstream: ScriptedUpstream) -> None:
    gate = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="a"), gate, up.delta(content="b"), up.delta("stop"), up.DONE]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    async with live.api.opened(f"/threads/{thread}/runs", {"assistant_id": assistant}) as events:
        run = (await anext(events)).data["id"]
    gate.set()
    assert (await live.api.finished(thread, run))["status"] == "completed"
    found = await live.api.ok("GET", f"/threads/{thread}/messages?run_id={run}")
    assert found["data"][0]["content"][0]["text"]["value"] == "ab"


async def test_every_parameter_of_a_run_reaches_the_upstream(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("{}"))
    assistant = await live.api.assistant(model="other", instructions="old", temperature=0.3)
    thread = await live.api.thread("hi")
    schema = {"name": "s", "schema": {"type": "object", "additionalProperties": False}, "strict": True}
    options = {row.name: json.loads(row.example) for row in ADDED_PARAMETERS if row.object == "RunObject"}
    body: dict[str, Any] = {
        "assistant_id": assistant,
        "model": "gpt-test",
        "instructions": "new",
        "additional_instructions": "more",
        "additional_messages": [{"role": "assistant", "content": "and"}, {"role": "user", "content": "so?"}],
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": schema},
        "temperature": 0,
        "top_p": 0.5,
        "reasoning_effort": "low",
        "max_prompt_tokens": 5000,
        "max_completion_tokens": 300,
        "metadata": {"k": "v"},
        **options,
    }
    events = await live.api.stream(f"/threads/{thread}/runs", body)
    run = events[0].data
    for name in ("model", "tool_choice", "parallel_tool_calls", "response_format", "temperature", "top_p", "metadata"):
        assert run[name] == body[name]
    assert run["instructions"] == "new\nmore"
    sent = upstream.asked[0].body
    assert [(m["role"], m["content"]) for m in sent["messages"]] == [
        ("system", "new\nmore"),
        ("user", "hi"),
        ("assistant", "and"),
        ("user", "so?"),
    ]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert sent["parallel_tool_calls"] is False
    assert sent["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert (sent["temperature"], sent["top_p"], sent["reasoning_effort"]) == (0.0, 0.5, "low")
    assert sent["max_completion_tokens"] == 300
    assert run | options == run
    assert sent | options == sent


async def test_explicit_nulls_mean_absent(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("ok"))
    assistant, thread = await live.api.assistant(model="gpt-test", instructions="keep"), await live.api.thread("hi")
    fields = ["model", "instructions", "additional_messages", "tools", "temperature", "tool_choice", "response_format"]
    body = {"assistant_id": assistant, **dict.fromkeys(fields)}
    run = (await live.api.stream(f"/threads/{thread}/runs", body))[-2].data
    assert (run["status"], run["instructions"], run["model"]) == ("completed", "keep", "gpt-test")


async def test_thread_and_run_begin_with_the_thread(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("ok", "!"))
    assistant = await live.api.assistant(model="gpt-test")
    thread = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": "b"}}
    events = await live.api.stream("/threads/runs", {"assistant_id": assistant, "thread": thread})
    assert names(events) == ["thread.created", *PLAIN]
    assert events[0].data["tool_resources"] == {"code_interpreter": {"file_ids": []}}


async def test_a_run_needs_instructions_or_a_user(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread()
    for path, body in ((f"/threads/{thread}/runs", {"stream": True}), ("/threads/runs", {})):
        status, error = await live.api.refused("POST", path, {"assistant_id": assistant, **body})
        text = "Run creation requires a Thread with a user message or an assistant with instructions."
        assert (status, error["message"], error["code"]) == (400, text, "invalid_thread")


async def test_a_completion_budget_ends_the_run_incomplete(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("cut", finish="length"))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    body = {"assistant_id": assistant, "max_completion_tokens": 256}
    events = await live.api.stream(f"/threads/{thread}/runs", body)
    assert names(events)[-4:] == [
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
        "done",
    ]
    assert events[-4].data["incomplete_details"] == {"reason": "max_tokens"}
    run = events[-2].data
    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert run["completed_at"] is not None


async def test_a_prompt_budget_that_holds_nothing_ends_the_run_incomplete(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("word " * 400)
    body = {"assistant_id": assistant, "max_prompt_tokens": 256}
    run = (await live.api.stream(f"/threads/{thread}/runs", body))[-2].data
    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": "max_prompt_tokens"})


async def test_an_upstream_error_fails_the_run_and_says_why_without_the_key(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.answer(up.error(400, "No such thing. Your key sk-verysecretkey is odd."))
    async with serving(tmp_path, upstream.url, UPSTREAM_API_KEY="sk-verysecretkey") as live:
        assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
        run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data
    assert run["status"] == "failed"
    refused = "The upstream refused the request with HTTP 400"
    assert run["last_error"] == {"code": "server_error", "message": f"{refused}: No such thing. Your key *** is odd."}


async def test_a_cut_stream_fails_the_run_and_keeps_the_text(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.Answer([up.delta(content="half")], then_cut=True))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert names(events)[-4:] == [
        "thread.message.incomplete",
        "thread.run.step.failed",
        "thread.run.failed",
        "done",
    ]
    assert events[-4].data["content"][0]["text"]["value"] == "half"


async def test_a_call_nobody_can_execute_is_answered_to_the_model(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(
        up.calls(("call_a", "unknown", "{}"), ("call_b", "weather", "{broken"), finish="stop"), up.text("Sorry.")
    )
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert events[-2].data["status"] == "completed"
    answers = [m["content"] for m in upstream.asked[1].body["messages"] if m["role"] == "tool"]
    assert answers[0].startswith("Error: there is no function named 'unknown'.")
    assert answers[1].startswith("Error: the arguments are not a valid JSON object.")


async def test_calls_with_one_id_are_told_apart(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.calls(("call_a", "weather", "{}"), ("call_a", "weather", "{}")))
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data
    ids = [call["id"] for call in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
    assert ids[0] == "call_a"
    assert len(set(ids)) == 2


async def test_an_empty_answer_is_one_empty_text(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.Answer([up.delta("stop"), up.DONE]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    message = named(events, "thread.message.completed")[0]
    assert message["content"] == [{"type": "text", "text": {"value": "", "annotations": []}}]
    assert events[-2].data["usage"]["prompt_tokens"] > 0


async def test_a_refusal_is_a_part_of_its_own(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.Answer([up.delta(refusal="I can"), up.delta(refusal="not."), up.delta("stop"), up.DONE]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert named(events, "thread.message.completed")[0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]


async def test_a_content_filter_fails_the_run(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("bad", finish="content_filter"))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    message = named(events, "thread.message.incomplete")[0]
    assert message["incomplete_details"] == {"reason": "content_filter"}
    assert events[-2].data["status"] == "failed"


async def test_a_prompt_too_long_for_the_model_is_shortened_and_asked_again(
    live: Live, upstream: ScriptedUpstream
) -> None:
    upstream.answer(up.error(400, "too long", "context_length_exceeded"), up.text("ok"))
    assistant = await live.api.assistant(model="gpt-test")
    thread = await live.api.thread(*(f"message number {n} " * 20 for n in range(20)))
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data
    assert run["status"] == "completed"
    first, second = (asked.body["messages"] for asked in upstream.asked)
    assert len(second) < len(first)
    assert second[-1] == first[-1]
    assert second[0] == first[0]


async def test_last_messages_keeps_the_newest(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.text("ok"))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("a", "b", "c")
    strategy = {"type": "last_messages", "last_messages": 2}
    body = {"assistant_id": assistant, "truncation_strategy": strategy}
    run = (await live.api.stream(f"/threads/{thread}/runs", body))[-2].data
    assert run["truncation_strategy"] == strategy
    assert [m["content"] for m in upstream.asked[0].body["messages"]] == ["b", "c"]


async def test_a_tool_this_server_does_not_have_fails_the_run_and_says_so(live: Live) -> None:
    assistant, thread = await live.api.assistant(tools=[{"type": "code_interpreter"}]), await live.api.thread("hi")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data
    assert run["status"] == "failed"
    assert run["last_error"]["message"] == "code_interpreter is switched off on this server."


async def test_a_forced_function_is_forced_on_the_first_turn_only(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.calls(("call_a", "weather", "{}")), up.text("ok"))
    assistant = await live.api.assistant(model="gpt-test", tools=[WEATHER])
    thread = await live.api.thread("hi")
    body = {"assistant_id": assistant, "tool_choice": "required"}
    run = (await live.api.stream(f"/threads/{thread}/runs", body))[-2].data["id"]
    outputs = [{"tool_call_id": "call_a", "output": "x"}]
    await live.api.stream(f"/threads/{thread}/runs/{run}/submit_tool_outputs", {"tool_outputs": outputs})
    assert [asked.body.get("tool_choice", "auto") for asked in upstream.asked] == ["required", "auto"]


async def test_an_endless_caller_is_stopped_by_the_turn_guard(live: Live, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.calls(("call_a", "unknown", "{}")))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    run = (await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data
    assert run["last_error"]["message"] == "The run was stopped after 64 model turns without an end."
    assert run["usage"]["prompt_tokens"] == 640


async def test_deleting_a_thread_stops_its_run(live: Live, upstream: ScriptedUpstream) -> None:
    never = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="x"), never]))
    assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
    await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
    asked = await upstream.request()
    await asked.begun.wait()
    await live.api.ok("DELETE", f"/threads/{thread}")
    await asked.gone.wait()
    status, error = await live.api.refused("GET", f"/threads/{thread}")
    assert (status, error["message"]) == (404, f"No thread found with id '{thread}'.")


async def test_include_may_stand_in_the_body_too_where_sdk_1_55_puts_it(live: Live) -> None:
    assistant, thread = await live.api.assistant(), await live.api.thread("hi")
    include = ["step_details.tool_calls[*].file_search.results[*].content"]
    body = {"assistant_id": assistant, "include": include}
    assert (await live.api.ok("POST", f"/threads/{thread}/runs", body))["status"] == "queued"
    status, error = await live.api.refused("POST", f"/threads/{thread}/runs", {**body, "include": ["everything"]})
    assert (status, error["param"]) == (400, "include[0]")


@pytest.mark.parametrize(("age", "wait"), [(-1, 100), (0, 100), (2, 100), (10, 500), (40, 2000), (600, 2000)])
def test_a_poller_is_told_to_wait_a_twentieth_of_the_age(age: float, wait: int) -> None:
    assert poll_after(age) == {"openai-poll-after-ms": str(wait)}


@pytest.mark.parametrize(("lag", "wait"), [(0.001, 100), (0.01, 500), (0.02, 1000), (1, 2000)])
def test_a_poller_is_told_to_wait_longer_where_the_loop_lags(lag: float, wait: int) -> None:
    assert poll_after(0, lag) == {"openai-poll-after-ms": str(wait)}
    assert poll_after(40, lag) == {"openai-poll-after-ms": "2000"}


async def test_a_loop_that_is_kept_waiting_is_measured_as_late_and_forgets_one_pause() -> None:
    lag = LoopLag()
    with lag.measured():
        while not lag.seconds:
            until = time.monotonic() + 2 * TICK
            while time.monotonic() < until:
                pass  # somebody's code that does not let go
            await turn_of_the_loop()
    assert lag.seconds < 2 * TICK
    for _ in range(40):
        lag.saw(-0.001)
    assert lag.seconds < TICK / 20
