"""The unmodified official Python SDK, synchronous, against a live server."""

from collections import Counter
from typing import Any, cast

import openai
import pytest
from openai import AssistantEventHandler, OpenAI
from openai.types.beta import FunctionToolParam
from typing_extensions import override

TOOL: FunctionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
CALLBACKS = [
    "on_event",
    "on_run_step_created",
    "on_run_step_delta",
    "on_run_step_done",
    "on_tool_call_created",
    "on_tool_call_delta",
    "on_tool_call_done",
    "on_message_created",
    "on_message_delta",
    "on_message_done",
    "on_text_created",
    "on_text_delta",
    "on_text_done",
    "on_end",
]


@pytest.fixture
def client(server_url: str) -> OpenAI:
    return OpenAI(base_url=server_url, api_key="test", max_retries=0)


@pytest.fixture
def assistant(client: OpenAI) -> str:
    return client.beta.assistants.create(model="rehearsal", tools=[TOOL]).id


def thread(client: OpenAI, script: str) -> str:
    return client.beta.threads.create(messages=[{"role": "user", "content": script}]).id


class Counting(AssistantEventHandler):
    """Counts each callback."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        for name in CALLBACKS:
            setattr(self, name, self._counter(name))

    def _counter(self, name: str) -> Any:
        def count(*_: object) -> None:
            self.counts[name] += 1

        return count


def test_create_and_poll(client: OpenAI, assistant: str) -> None:
    at = thread(client, "say: one two")
    run = client.beta.threads.runs.create_and_poll(thread_id=at, assistant_id=assistant)
    assert run.status == "completed"
    assert run.usage is not None
    newest = client.beta.threads.messages.list(at).data[0]
    assert newest.content[0].type == "text"
    assert newest.content[0].text.value == "one two"


def test_a_stream_calls_every_handler_and_its_snapshots_are_what_is_stored(client: OpenAI, assistant: str) -> None:
    at = thread(client, "say: one two\ncall: weather {}")
    handler = Counting()
    with client.beta.threads.runs.stream(thread_id=at, assistant_id=assistant, event_handler=handler) as stream:
        stream.until_done()
        messages, steps = stream.get_final_messages(), stream.get_final_run_steps()
    assert handler.counts == {
        "on_event": 16,
        "on_run_step_created": 2,
        "on_run_step_delta": 2,
        "on_run_step_done": 1,
        "on_tool_call_created": 1,
        "on_tool_call_delta": 1,
        "on_tool_call_done": 1,
        "on_message_created": 1,
        "on_message_delta": 2,
        "on_message_done": 1,
        "on_text_created": 1,
        "on_text_delta": 2,
        "on_text_done": 1,
        "on_end": 1,
    }
    assert client.beta.threads.messages.retrieve(messages[0].id, thread_id=at) == messages[0]
    run_id = steps[0].run_id
    stored = client.beta.threads.runs.steps.list(run_id, thread_id=at, order="asc").data
    for step in steps:  # the SDK keeps the deltas' index in its snapshot
        for call in getattr(step.step_details, "tool_calls", []):
            call.__pydantic_extra__.pop("index", None)
    assert [step.step_details for step in stored] == [step.step_details for step in steps]


def test_submit_tool_outputs_and_poll(client: OpenAI, assistant: str) -> None:
    at = thread(client, 'call: weather {"a": 1}\ncall: weather {}\n---\nsay: {{outputs.0}} and {{outputs.1}}')
    run = client.beta.threads.runs.create_and_poll(thread_id=at, assistant_id=assistant)
    assert run.required_action is not None
    calls = run.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": call.id, "output": f"answer {n}"} for n, call in enumerate(calls)]
    done = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=at, tool_outputs=cast("Any", outputs)
    )
    assert done.status == "completed"
    part = client.beta.threads.messages.list(at).data[0].content[0]
    assert part.type == "text"
    assert part.text.value == "answer 0 and answer 1"


def test_tool_outputs_can_be_streamed_from_inside_the_open_stream(client: OpenAI, assistant: str) -> None:
    at = thread(client, "say: wait\ncall: weather {}\n---\nsay: it is {{output}}")
    texts: list[str] = []

    class Submitting(AssistantEventHandler):
        @override
        def on_event(self, event: Any) -> None:
            if event.event == "thread.run.requires_action":
                calls = event.data.required_action.submit_tool_outputs.tool_calls
                outputs = [{"tool_call_id": call.id, "output": "sunny"} for call in calls]
                with client.beta.threads.runs.submit_tool_outputs_stream(
                    run_id=event.data.id, thread_id=at, tool_outputs=cast("Any", outputs)
                ) as inner:
                    texts.append("".join(inner.text_deltas))

    with client.beta.threads.runs.stream(thread_id=at, assistant_id=assistant, event_handler=Submitting()) as stream:
        stream.until_done()
    assert texts == ["it is sunny"]


def test_create_and_run_in_all_its_forms(client: OpenAI, assistant: str) -> None:
    made: Any = {"messages": [{"role": "user", "content": "hi"}]}
    assert client.beta.threads.create_and_run_poll(assistant_id=assistant, thread=made).status == "completed"
    with client.beta.threads.create_and_run_stream(assistant_id=assistant, thread=made) as stream:
        assert "".join(stream.text_deltas) == "You said: hi"
        assert stream.get_final_run().status == "completed"
    started = client.beta.threads.create_and_run(assistant_id=assistant, thread=made)
    assert started.status == "queued"
    assert client.beta.threads.runs.poll(started.id, thread_id=started.thread_id).status == "completed"


def test_lists_page_by_themselves(client: OpenAI) -> None:
    at = thread(client, "first")
    for number in range(24):
        client.beta.threads.messages.create(at, role="user", content=f"message {number}")
    ids = [message.id for message in client.beta.threads.messages.list(at, limit=10)]
    assert len(ids) == len(set(ids)) == 25


def test_errors_are_the_sdks_own_classes(client: OpenAI, assistant: str) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.beta.threads.retrieve("thread_doesnotexist")
    assert "No thread found with id 'thread_doesnotexist'." in missing.value.message
    with pytest.raises(openai.BadRequestError) as bad:
        client.beta.threads.messages.create(thread(client, "x"), role=cast("Any", "human"), content="x")
    assert (bad.value.param, bad.value.code) == ("role", "invalid_value")
    at = thread(client, "say: x")
    run = client.beta.threads.runs.create_and_poll(thread_id=at, assistant_id=assistant)
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'completed'"):
        client.beta.threads.runs.cancel(run.id, thread_id=at)


def test_raw_answers_carry_the_services_headers(client: OpenAI) -> None:
    raw = client.beta.threads.with_raw_response.create()
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-processing-ms"].isdecimal()


def test_an_azure_client_finds_the_same_routes(server_url: str) -> None:
    azure = openai.AzureOpenAI(
        azure_endpoint=server_url.removesuffix("/v1"), api_key="test", api_version="2024-05-01-preview"
    )
    made = azure.beta.assistants.create(model="rehearsal")
    assert azure.beta.assistants.retrieve(made.id).id == made.id
    assert azure.beta.assistants.list(limit=1).data[0].id == made.id
