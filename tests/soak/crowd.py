"""What the clients of a soak share, and what they saw."""

import random
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from openai import AsyncOpenAI, NotFoundError
from openai.types.beta import AssistantStreamEvent
from openai.types.beta.threads import Run

ENDS = frozenset({"completed", "incomplete", "cancelled", "failed", "expired"})


class Fault(AssertionError):
    """Something that no race explains."""


@dataclass
class Crowd:
    """One soak. `assistant` and `store` are everybody's; `threads` and `files` are what somebody left behind."""

    base: str
    rng: random.Random
    assistant: str = ""
    store: str = ""
    threads: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    done: "Counter[str]" = field(default_factory=Counter[str])
    refused: "Counter[str]" = field(default_factory=Counter[str])
    streams: int = 0
    faults: list[str] = field(default_factory=list[str])

    def client(self) -> AsyncOpenAI:
        """An official client that is told every refusal."""
        return AsyncOpenAI(base_url=self.base, api_key="soak", max_retries=0, timeout=60)


Stream: TypeAlias = AsyncGenerator[AssistantStreamEvent, None]


@asynccontextmanager
async def thread_of(crowd: Crowd, client: AsyncOpenAI, said: str, *, kept: float = 0.3) -> AsyncGenerator[str, None]:
    """A thread that says this; deleted in the end, or kept with that chance."""
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": said}])
    yield thread.id
    if crowd.rng.random() < kept:
        crowd.threads.append(thread.id)
        return
    with gone_is_explained():
        await client.beta.threads.delete(thread.id)


@contextmanager
def gone_is_explained() -> Iterator[None]:
    """Somebody else deleted it first."""
    try:
        yield
    except NotFoundError:
        return


async def events_of(crowd: Crowd, client: AsyncOpenAI, thread: str) -> Stream:
    """A streamed run's events."""
    crowd.streams += 1
    stream = await client.beta.threads.runs.create(thread, assistant_id=crowd.assistant, stream=True)
    async with stream:
        async for event in stream:
            yield event


async def last_run(events: Stream) -> Run:
    """The run as its stream showed it last. Raises Fault for a stream without one."""
    found: Run | None = None
    async for event in events:
        found = run_of(event) or found
    if found is None:
        raise Fault("a stream ended without a run")
    return found


def run_of(event: AssistantStreamEvent) -> Run | None:
    """The run an event shows."""
    return event.data if isinstance(event.data, Run) else None


def ended(run: Run, *allowed: str) -> Run:
    """The run, which ended in one of these ways. Raises Fault."""
    if run.status not in allowed:
        raise Fault(f"run {run.id} is {run.status}, not {' or '.join(allowed)}: {run.last_error}")
    return run
