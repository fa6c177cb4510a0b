"""The unmodified official Python SDK, asynchronous, against a live server."""

from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from openai import AsyncOpenAI

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
async def client(server_url: str) -> AsyncGenerator[AsyncOpenAI, None]:
    async with AsyncOpenAI(base_url=server_url, api_key="test", max_retries=0) as opened:
        yield opened


async def test_poll_and_stream_with_tools(client: AsyncOpenAI) -> None:
    assistant = await client.beta.assistants.create(model="rehearsal", tools=[TOOL])
    script = "say: wait\ncall: weather {}\n---\nsay: it is {{output}}"
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": script}])
    async with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        async for event in stream:
            if event.event == "thread.run.requires_action" and event.data.required_action is not None:
                calls = event.data.required_action.submit_tool_outputs.tool_calls
                outputs = [{"tool_call_id": call.id, "output": "sunny"} for call in calls]
                async with client.beta.threads.runs.submit_tool_outputs_stream(
                    run_id=event.data.id, thread_id=thread.id, tool_outputs=cast("Any", outputs)
                ) as inner:
                    text = "".join([piece async for piece in inner.text_deltas])
                    assert (await inner.get_final_run()).status == "completed"
                assert text == "it is sunny"


async def test_create_and_run_poll_and_paging(client: AsyncOpenAI) -> None:
    assistant = await client.beta.assistants.create(model="rehearsal")
    made: Any = {"messages": [{"role": "user", "content": f"message {n}"} for n in range(12)]}
    run = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=made)
    assert run.status == "completed"
    listed = [message.id async for message in client.beta.threads.messages.list(run.thread_id, limit=5)]
    assert len(listed) == 13


async def test_a_closed_stream_leaves_the_run_running(client: AsyncOpenAI) -> None:
    assistant = await client.beta.assistants.create(model="rehearsal")
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "say: a b c d e f\nslow: 20ms"}])
    async with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        async for event in stream:
            if event.event == "thread.message.delta":
                break
    run = (await client.beta.threads.runs.list(thread.id)).data[0]
    assert (await client.beta.threads.runs.poll(run.id, thread_id=thread.id)).status == "completed"
