"""GET …/runs/{id}/trace over HTTP: what a run did, for who wants to know why it was slow or failed."""

from pathlib import Path

from tests.support import scripted as up
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Api, Live, serving

CALL = 'say: Let me see.\ncall: f {"x": 1}\n---\nsay: one two three'
FUNCTION = {"type": "function", "function": {"name": "f"}}


async def waiting(api: Api) -> tuple[str, str]:
    """A run that waits for its client, and its call."""
    assistant, thread = await api.assistant(tools=[FUNCTION]), await api.thread(CALL)
    run = await api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
    run = await api.finished(thread, run["id"])
    call = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    return f"/threads/{thread}/runs/{run['id']}", call


async def test_a_trace_has_the_queue_the_answers_and_the_calls_in_their_order(live: Live) -> None:
    path, call = await waiting(live.api)
    open_trace = await live.api.ok("GET", f"{path}/trace")
    assert open_trace["span"]["end_time"] is None
    assert sorted(span["kind"] for span in open_trace["span"]["spans"]) == ["model", "queue", "tool"]
    outputs = {"tool_outputs": [{"tool_call_id": call, "output": "x"}]}
    await live.api.ok("POST", f"{path}/submit_tool_outputs", outputs)
    thread, run = path.split("/")[2], path.split("/")[4]
    ended = await live.api.finished(thread, run)
    trace = await live.api.ok("GET", f"{path}/trace")
    assert (trace["run_id"], trace["thread_id"], trace["is_whole"]) == (run, thread, True)
    queue, first = (next(one for one in trace["span"]["spans"] if one["kind"] == kind) for kind in ("queue", "model"))
    assert queue["end_time"] <= first["start_time"], "the wait for the client is none for a worker"
    root = trace["span"]
    assert root["end_time"] >= root["start_time"] == ended["created_at"]
    assert root["attributes"]["gen_ai.usage.output_tokens"] == ended["usage"]["completion_tokens"]
    models = [span["attributes"] for span in root["spans"] if span["kind"] == "model"]
    assert [one["gen_ai.response.finish_reasons"] for one in models] == [["tool_calls"], ["stop"]]
    assert sum(one["gen_ai.usage.output_tokens"] for one in models) == ended["usage"]["completion_tokens"]
    (tool,) = (span["attributes"] for span in root["spans"] if span["kind"] == "tool")
    assert (tool["gen_ai.tool.name"], tool["gen_ai.tool.type"], tool["gen_ai.tool.call.id"]) == ("f", "function", call)
    assert tool["error.message"] is None


async def test_a_call_that_was_never_answered_says_how_its_step_ended(live: Live) -> None:
    path, _ = await waiting(live.api)
    await live.api.ok("POST", f"{path}/cancel")
    trace = await live.api.ok("GET", f"{path}/trace")
    (tool,) = (span for span in trace["span"]["spans"] if span["kind"] == "tool")
    assert tool["attributes"]["error.message"] == "The step is cancelled."
    assert tool["end_time"] is not None
    assert trace["span"]["attributes"]["threadmill.run.status"] == "cancelled"


async def test_failed_attempts_are_told_without_the_upstreams_key(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    key = "sk-of-the-upstream-1234"
    upstream.answer(up.error(500, f"Overloaded, {key}"), up.text("Hi."))
    async with serving(tmp_path, upstream.url, UPSTREAM_API_KEY=key) as live:
        assistant, thread = await live.api.assistant(model="gpt-test"), await live.api.thread("hi")
        run = await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
        await live.api.finished(thread, run["id"])
        trace = await live.api.ok("GET", f"/threads/{thread}/runs/{run['id']}/trace")
    (model,) = (span["attributes"] for span in trace["span"]["spans"] if span["kind"] == "model")
    assert len(model["threadmill.failed_attempts"]) == 1
    assert key not in str(trace)
    assert model["gen_ai.provider.name"] == "environment"


async def test_a_trace_is_the_projects_own(tmp_path: Path) -> None:
    async with serving(tmp_path, keys="red=key-of-project-red,blue=key-of-project-blue") as live:
        red = Api(live.api.base, live.api.session, {"Authorization": "Bearer key-of-project-red"})
        blue = Api(live.api.base, live.api.session, {"Authorization": "Bearer key-of-project-blue"})
        path, _ = await waiting(red)
        status, _ = await blue.refused("GET", f"{path}/trace")
        assert status == 404
        assert (await red.ok("GET", f"{path}/trace"))["object"] == "thread.run.trace"
