"""What a client does in a soak. Each action raises what no race explains."""

from collections.abc import Awaitable, Callable, Mapping

from openai import APIError, AsyncOpenAI, BadRequestError

from tests.soak.crowd import ENDS, Crowd, Fault, ended, events_of, gone_is_explained, last_run, run_of, thread_of

Action = Callable[[Crowd, AsyncOpenAI], Awaitable[None]]


async def stream(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Say something, and read the answer as it comes."""
    words = crowd.rng.randrange(1, 60)
    async with thread_of(crowd, client, f"slow: 1ms\nrepeat: {words}\nsay: word") as thread:
        run = ended(await last_run(events_of(crowd, client, thread)), "completed")
        said = (await client.beta.threads.messages.list(thread, run_id=run.id)).data
        text = said[0].content[0] if said else None
        if text is None or text.type != "text" or text.text.value.split() != ["word"] * words:
            raise Fault(f"run {run.id} did not say {words} words: {text}")


async def function(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Answer two function calls."""
    script = "call: look {}\ncall: look {}\n---\nsay: {{outputs.0}} and {{outputs.1}}"
    async with thread_of(crowd, client, script) as thread:
        run = ended(await last_run(events_of(crowd, client, thread)), "requires_action")
        if run.required_action is None:
            raise Fault(f"run {run.id} requires nothing")
        calls = run.required_action.submit_tool_outputs.tool_calls
        outputs = await client.beta.threads.runs.submit_tool_outputs(
            run.id,
            thread_id=thread,
            tool_outputs=[{"tool_call_id": call.id, "output": "seen"} for call in calls],
            stream=True,
        )
        async with outputs:
            seen = [found async for event in outputs if (found := run_of(event)) is not None]
        ended(seen[-1], "completed")


async def code(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Run code that writes a file."""
    script = "python:\n    print(6 * 7)\n---\nsay: {{output}}"
    async with thread_of(crowd, client, script) as thread:
        run = ended(await last_run(events_of(crowd, client, thread)), "completed")
        said = (await client.beta.threads.messages.list(thread, run_id=run.id)).data
        text = said[0].content[0] if said else None
        if text is None or text.type != "text" or "42" not in text.text.value:
            raise Fault(f"run {run.id} did not count: {text}")


async def search(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Hand a file to a thread and search it."""
    file = await client.files.create(file=("fox.txt", b"A fox sleeps in the barn."), purpose="assistants")
    async with thread_of(crowd, client, "say: Nothing yet.") as thread:
        await client.beta.threads.messages.create(
            thread,
            role="user",
            content="search: fox\n---\nsay: done",
            attachments=[{"file_id": file.id, "tools": [{"type": "file_search"}]}],
        )
        ended(await last_run(events_of(crowd, client, thread)), "completed")
    crowd.files.append(file.id)


async def cancel(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Cancel a run while it speaks; it may be faster."""
    async with thread_of(crowd, client, "slow: 20ms\nrepeat: 40\nsay: word") as thread:
        events = events_of(crowd, client, thread)
        seen = None
        async for event in events:
            seen = run_of(event) or seen
            if event.event == "thread.message.delta" and seen is not None:
                break
        if seen is None:
            raise Fault("a stream ended without a run")
        try:
            await client.beta.threads.runs.cancel(seen.id, thread_id=thread)
        except BadRequestError:
            crowd.refused["cancelled too late"] += 1
        ended(await last_run(events), "cancelled", "completed")


async def vanish(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Delete the thread while its run speaks."""
    async with thread_of(crowd, client, "slow: 20ms\nrepeat: 40\nsay: word", kept=0) as thread:
        try:
            async for event in events_of(crowd, client, thread):
                if event.event == "thread.message.delta":
                    with gone_is_explained():
                        await client.beta.threads.delete(thread)
        except APIError as error:
            if "the thread was deleted" not in str(error):
                raise
            crowd.refused["a stream whose thread was deleted"] += 1


async def leave(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Leave a stream; the run goes on by itself, and its end is read by another."""
    async with thread_of(crowd, client, "slow: 5ms\nrepeat: 20\nsay: word") as thread:
        events = events_of(crowd, client, thread)
        async for event in events:
            if event.event == "thread.message.delta":
                break
        await events.aclose()
        (run,) = (await client.beta.threads.runs.list(thread)).data
        ended(await client.beta.threads.runs.poll(run.id, thread, poll_interval_ms=50), "completed")


async def upload(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Add a file to everybody's store, search there, and take away one that somebody left."""
    file = await client.files.create(file=("cat.txt", b"A cat purrs."), purpose="assistants")
    await client.vector_stores.files.create(crowd.store, file_id=file.id)
    await client.vector_stores.search(crowd.store, query="cat")
    crowd.files.append(file.id)
    if len(crowd.files) > 20:
        with gone_is_explained():
            await client.files.delete(crowd.files.pop(crowd.rng.randrange(len(crowd.files))))


async def change(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Change what is everybody's."""
    metadata = {"number": str(crowd.rng.randrange(1_000))}
    await client.beta.assistants.update(crowd.assistant, metadata=metadata)
    await client.vector_stores.update(crowd.store, metadata=metadata)


async def tidy(crowd: Crowd, client: AsyncOpenAI) -> None:
    """Look at a thread that somebody left: nothing is active there. Then delete it."""
    if crowd.threads:
        thread = crowd.threads.pop(crowd.rng.randrange(len(crowd.threads)))
        for run in (await client.beta.threads.runs.list(thread)).data:
            ended(run, *ENDS - {"failed", "expired"})
        await client.beta.threads.delete(thread)


ACTIONS: Mapping[str, Action] = {
    "stream": stream,
    "function calls": function,
    "code": code,
    "search": search,
    "cancel": cancel,
    "delete the thread": vanish,
    "leave": leave,
    "upload": upload,
    "change": change,
    "tidy": tidy,
}
