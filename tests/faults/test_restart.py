"""Real processes, really killed: what was acknowledged is there, and runs go on."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.sandbox.support import ENVIRONMENT
from tests.support import scripted as up
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Api
from tests.support.witness import witnessed


@asynccontextmanager
async def server(
    directory: Path, upstream: str, config: str = ""
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, Api], None]:
    command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", str(directory)]
    env = {"THREADMILL_UPSTREAM_URL": upstream, "THREADMILL_CONFIG": config, "PATH": "/usr/bin:/bin"}
    env |= {} if config else {"THREADMILL_SANDBOX": "off"}
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+/v1", (await process.stdout.readline()).decode())
        assert found is not None
        with witnessed(found[0].removesuffix("/v1")) as base:
            async with aiohttp.ClientSession() as session:
                yield process, Api(base, session)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await process.stdout.read()


async def test_a_run_survives_kill_minus_nine(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    never = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="half a sen"), never]), up.text("A whole sentence."))
    async with server(tmp_path, upstream.url) as (process, api):
        assistant, thread = await api.assistant(model="gpt-test"), await api.thread("hi")
        async with api.opened(f"/threads/{thread}/runs", {"assistant_id": assistant}) as events:
            run = (await anext(events)).data["id"]
            async for event in events:
                if event.name == "thread.message.delta":
                    break
            process.kill()
            await process.wait()
    async with server(tmp_path, upstream.url) as (_, api):
        assert (await api.finished(thread, run))["status"] == "completed"
        said = (await api.ok("GET", f"/threads/{thread}/messages?run_id={run}"))["data"]
        assert [(m["status"], m["content"][0]["text"]["value"]) for m in said[:1]] == [
            ("completed", "A whole sentence.")
        ]
        assert said[1]["status"] == "incomplete"
        steps = (await api.ok("GET", f"/threads/{thread}/runs/{run}/steps?order=asc"))["data"]
        assert [step["status"] for step in steps] == ["failed", "completed"]
        assert "half a sen" not in str(upstream.asked[1].body)
        await api.ok("POST", f"/threads/{thread}/messages", {"role": "user", "content": "free"})


async def test_a_drained_server_gives_its_run_back_and_tells_the_stream(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    never = asyncio.Event()
    upstream.answer(up.Answer([up.delta(content="half"), never]), up.text("whole"))
    config = tmp_path / "threadmill.toml"
    config.write_text("[limits]\ndrain_seconds = 0\n")
    async with server(tmp_path, upstream.url, str(config)) as (process, api):
        assistant, thread = await api.assistant(model="gpt-test"), await api.thread("hi")
        async with api.opened(f"/threads/{thread}/runs", {"assistant_id": assistant}) as events:
            run = (await anext(events)).data["id"]
            async for event in events:
                if event.name == "thread.message.delta":
                    break
            process.terminate()
            rest = [event.name async for event in events]
        assert rest[-2:] == ["error", "done"]
        await process.wait()
    async with server(tmp_path, upstream.url) as (_, api):
        assert (await api.finished(thread, run))["status"] == "completed"


async def test_a_waiting_run_waits_across_a_restart(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.answer(up.calls(("call_a", "f", "{}")), up.text("ok"))
    tool = {"type": "function", "function": {"name": "f"}}
    async with server(tmp_path, upstream.url) as (process, api):
        assistant, thread = await api.assistant(model="gpt-test", tools=[tool]), await api.thread("hi")
        run = (await api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant}))[-2].data["id"]
        process.kill()
        await process.wait()
    async with server(tmp_path, upstream.url) as (_, api):
        outputs = {"tool_outputs": [{"tool_call_id": "call_a", "output": "x"}]}
        events = await api.stream(f"/threads/{thread}/runs/{run}/submit_tool_outputs", outputs)
        assert events[-2].name == "thread.run.completed"


@pytest.mark.needs("sandbox")
async def test_code_that_was_running_at_kill_minus_nine_is_told_to_the_model_and_never_run_again(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    code = "print('begun', flush=True)\nwhile True: pass"
    call = up.calls(("call_a", "code_interpreter", json.dumps({"code": code})))
    upstream.answer(call, up.text("It was not to be."))
    config = tmp_path / "threadmill.toml"
    config.write_text(f'[sandbox]\npython = "{ENVIRONMENT}"\n')
    async with server(tmp_path, upstream.url, str(config)) as (process, api):
        assistant = await api.assistant(model="gpt-test", tools=[{"type": "code_interpreter"}])
        thread = await api.thread("hi")
        async with api.opened(f"/threads/{thread}/runs", {"assistant_id": assistant}) as events:
            run = (await anext(events)).data["id"]
            async for event in events:
                if "begun\\n" in json.dumps(event.data):
                    break
            process.kill()
            await process.wait()
    async with server(tmp_path, upstream.url, str(config)) as (_, api):
        assert (await api.finished(thread, run))["status"] == "completed"
        steps = (await api.ok("GET", f"/threads/{thread}/runs/{run}/steps?order=asc"))["data"]
    assert [(step["type"], step["status"]) for step in steps] == [
        ("tool_calls", "failed"),
        ("message_creation", "completed"),
    ]
    (made,) = steps[0]["step_details"]["tool_calls"]
    assert made["code_interpreter"]["input"] == code
    *_, asked, answered = upstream.asked[1].body["messages"]
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == "call_a"
    assert answered["content"] == "Error: the server stopped before this call was answered."
