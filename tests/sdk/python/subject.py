"""The client a check drives, and the few things every check needs."""

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import openai

from tests.sdk.python.colour import Handlers, each, got, opened

Seen: TypeAlias = dict[str, Any]

WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


class Subject:
    """One client against one server. `backstage` is the address of the test's own switchboard."""

    def __init__(self, client: Any, backstage: str, connect: Callable[..., Any]) -> None:
        self.client = client
        self.backstage = backstage
        self.connect = connect
        self.is_async = isinstance(client, openai.AsyncOpenAI)
        self.handlers = Handlers(is_async=self.is_async)
        self.assistant = ""

    @property
    def assistants(self) -> Any:
        return self.client.beta.assistants

    @property
    def threads(self) -> Any:
        return self.client.beta.threads

    @property
    def files(self) -> Any:
        return self.client.files

    @property
    def runs(self) -> Any:
        return self.client.beta.threads.runs

    async def start(self) -> None:
        """The assistant most checks use."""
        self.assistant = (await got(self.assistants.create(model="rehearsal", tools=[WEATHER]))).id

    async def thread(self, script: str) -> Any:
        """A thread whose first message is the model's script."""
        return (await got(self.threads.create(messages=[{"role": "user", "content": script}]))).id

    async def polled(self, script: str, **fields: Any) -> tuple[str, Any]:
        """A thread and its run, when it has ended or waits."""
        at = await self.thread(script)
        run = await got(self.runs.create_and_poll(thread_id=at, assistant_id=self.assistant, **fields))
        return at, run

    async def texts(self, thread_id: str, **query: Any) -> list[str]:
        """The thread's texts, oldest first."""
        listed = each(self.threads.messages.list(thread_id, order="asc", **query))
        return [part.text.value async for message in listed for part in message.content]

    async def streamed(self, script: str, **fields: Any) -> "Streamed":
        """A whole run, streamed to a counting handler."""
        at = await self.thread(script)
        given: Any = {"thread_id": at, "assistant_id": self.assistant, **fields}
        return await self.drained(self.runs.stream, **given)

    async def drained(
        self, stream: Any, *, then: Callable[[Any], Coroutine[Any, Any, None]] | None = None, **fields: Any
    ) -> "Streamed":
        """The stream read to its end. `then` is called inside the handler, with each event."""
        handler, counts = self.handlers.counting(then)
        async with opened(stream(event_handler=handler, **fields)) as entered:
            events = [event async for event in each(entered)]
            messages = await _or_none(entered.get_final_messages)
            steps = await _or_none(entered.get_final_run_steps)
            return Streamed(events, counts, await got(entered.get_final_run()), messages, steps)

    async def call(self, path: str) -> Seen:
        """Ask the test's switchboard."""
        request = urllib.request.Request(f"{self.backstage}{path}", method="POST")
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())


class Streamed:
    """What a stream gave and what the SDK's accumulators hold at its end."""

    def __init__(self, events: list[Any], counts: Counter[str], run: Any, messages: list[Any], steps: list[Any]):
        self.events = events
        self.counts = counts
        self.run = run
        self.messages = messages
        self.steps = steps

    @property
    def names(self) -> list[str]:
        """The events' names, deltas of one kind in a row told once."""
        names = [event.event.removeprefix("thread.") for event in self.events]
        return [name for before, name in zip(["", *names], names, strict=False) if before != name]

    @property
    def text(self) -> str:
        """What the messages' snapshots say."""
        return "|".join(part.text.value for message in self.messages for part in message.content)

    async def differences(self, subject: Subject) -> Seen:
        """The fields in which run, messages and steps are not what the API returns afterwards."""
        at, run = self.run.thread_id, self.run.id
        stored = await got(subject.runs.retrieve(run, thread_id=at))
        found: Seen = {"run": differing(self.run, stored), "messages": [], "steps": [], "last events of steps": []}
        for message in self.messages:
            kept = await got(subject.threads.messages.retrieve(message.id, thread_id=at))
            found["messages"] += differing(message, kept)
        for step in self.steps:
            kept = await got(subject.runs.steps.retrieve(step.id, thread_id=at, run_id=run))
            found["steps"] += differing(step, kept)
            closing = [event.data for event in self.events if event.event.startswith("thread.run.step.")]
            last = [data for data in closing if data.id == step.id and data.object == "thread.run.step"][-1]
            found["last events of steps"] += differing(last, kept)
        found["only in the API or the stream"] = await self._counted(subject, at, run)
        return {key: sorted(set(value)) for key, value in found.items()}

    async def _counted(self, subject: Subject, at: str, run: str) -> list[str]:
        """`messages` or `steps`, if the API has others than the stream brought."""
        steps = {step.id async for step in each(subject.runs.steps.list(run, thread_id=at))}
        messages = {one.id async for one in each(subject.threads.messages.list(at, run_id=run))}
        wrong = ["messages"] * (messages != {message.id for message in self.messages})
        return wrong + ["steps"] * (steps != {step.id for step in self.steps})


def differing(snapshot: Any, stored: Any) -> list[str]:
    """Top-level fields that differ. The index of a delta, which the SDK keeps in its snapshots, is no difference."""
    mine, theirs = bare(snapshot.to_dict(mode="json")), bare(stored.to_dict(mode="json"))
    return [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]


def bare(value: Any) -> Any:
    """The value without the indexes of deltas, which the SDK keeps in its snapshots."""
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items() if key != "index"}  # pyright: ignore[reportUnknownVariableType]
    return [bare(one) for one in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


async def _or_none(final: Callable[[], Any]) -> list[Any]:
    """The SDK raises where a stream brought none."""
    try:
        return await got(final())
    except RuntimeError:
        return []


def outputs_for(run: Any, *answers: str) -> Any:
    """Tool outputs for a run that waits, one answer a call."""
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": answer} for call, answer in zip(calls, answers, strict=True)]
