"""Checks of streaming: every callback counted, every accumulator compared with what the API returns afterwards."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.sdk.python.colour import each, got, now, opened, raised
from tests.sdk.python.subject import Seen, Streamed, Subject, outputs_for


async def stream_text(on: Subject) -> Seen:
    """A streamed answer: events in order, every callback counted."""
    seen = await on.streamed("say: one two three")
    return {
        "events": seen.names,
        "callbacks": seen.counts,
        "status": seen.run.status,
        "text": seen.text,
        "differences": await seen.differences(on),
    }


async def stream_parallel_calls(on: Subject) -> Seen:
    """A streamed answer with two parallel calls: callbacks, arguments, the required action."""
    seen = await on.streamed('say: one two\ncall: weather {"city": "Oslo"}\ncall: weather {}')
    at, run = seen.run.thread_id, seen.run.id
    details = seen.steps[1].step_details.tool_calls
    await got(on.runs.cancel(run, thread_id=at))
    return {
        "events": seen.names,
        "callbacks": seen.counts,
        "status": seen.run.status,
        "arguments": [[call.function.name, call.function.arguments] for call in details],
        "asked": [call.id for call in seen.run.required_action.submit_tool_outputs.tool_calls]
        == [call.id for call in details],
    }


async def stream_while_the_client_is_asked(on: Subject) -> Seen:
    """What the accumulators hold when a run waits for outputs."""
    seen = await on.streamed("say: one two\ncall: weather {}")
    differences = await seen.differences(on)
    await got(on.runs.cancel(seen.run.id, thread_id=seen.run.thread_id))
    return {"status": seen.run.status, "differences": differences}


SUNNY = "say: wait\ncall: weather {}\n---\nsay: it is {{output}}"


async def submit_tool_outputs_stream(on: Subject) -> Seen:
    """Outputs are submitted and the rest is streamed."""
    at, waiting = await on.polled(SUNNY)
    outputs = outputs_for(waiting, "sunny")
    stream = on.runs.submit_tool_outputs_stream
    seen = await on.drained(stream, run_id=waiting.id, thread_id=at, tool_outputs=outputs)
    return {
        "events": seen.names,
        "callbacks": seen.counts,
        "status": seen.run.status,
        "text": seen.text,
        "differences": await seen.differences(on),
    }


async def submit_inside_the_handler(on: Subject) -> Seen:
    """Outputs are submitted, and streamed, from a callback of the stream that is still open."""
    at = await on.thread(SUNNY)
    inner: list[Any] = []

    async def then(event: Any) -> None:
        if event.event == "thread.run.requires_action":
            outputs = outputs_for(event.data, "sunny")
            stream = on.runs.submit_tool_outputs_stream
            inner.append(await on.drained(stream, run_id=event.data.id, thread_id=at, tool_outputs=outputs))

    outer = await on.drained(on.runs.stream, then=then, thread_id=at, assistant_id=on.assistant)
    return {
        "outer": [outer.run.status, outer.text, outer.counts["end"]],
        "inner": [inner[0].run.status, inner[0].text, inner[0].counts["end"]],
        "differences": await inner[0].differences(on),
    }


async def submit_inside_the_loop(on: Subject) -> Seen:
    """The same from a loop over the open stream, read as text."""
    at = await on.thread(SUNNY)
    seen: Seen = {}
    async with opened(on.runs.stream(thread_id=at, assistant_id=on.assistant)) as outer:
        async for event in each(outer):
            if event.event == "thread.run.requires_action":
                outputs = outputs_for(event.data, "sunny")
                stream = on.runs.submit_tool_outputs_stream
                async with opened(stream(run_id=event.data.id, thread_id=at, tool_outputs=outputs)) as inner:
                    seen["text"] = "".join([piece async for piece in each(inner.text_deltas)])
                    seen["status"] = (await got(inner.get_final_run())).status
    return seen


async def create_and_run_stream(on: Subject) -> Seen:
    """Thread and run made and streamed at once."""
    thread: Any = {"messages": [{"role": "user", "content": "say: one two"}]}
    seen = await on.drained(on.threads.create_and_run_stream, assistant_id=on.assistant, thread=thread)
    return {"events": seen.names, "status": seen.run.status, "differences": await seen.differences(on)}


async def plain_event_streams(on: Subject) -> Seen:
    """`stream=True` without helpers: create, submit, create_and_run."""
    at = await on.thread(SUNNY)
    first = await got(on.runs.create(thread_id=at, assistant_id=on.assistant, stream=True))
    events = [event async for event in each(first)]
    run = events[-1].data
    outputs = outputs_for(run, "sunny")
    second = await got(on.runs.submit_tool_outputs(run.id, thread_id=at, tool_outputs=outputs, stream=True))
    more = [event async for event in each(second)]
    thread: Any = {"messages": [{"role": "user", "content": "hi"}]}
    third = await got(on.threads.create_and_run(assistant_id=on.assistant, thread=thread, stream=True))
    whole = [event async for event in each(third)]
    return {
        "create": [events[0].event, events[-1].event],
        "submit": [more[0].event, more[-1].event],
        "create_and_run": [whole[0].event, whole[-1].event],
    }


TRICKY = ["Grüße, 世界! 👩‍🚀", "line\u2028para\u2029next\u0085", 'quote " and \\ back', "data: [DONE]", "tab\tend"]


async def stream_tricky_text(on: Subject) -> Seen:
    """Emoji, line separators, quotes and `data: [DONE]` inside a text arrive as they are."""
    seen = await on.streamed("say:\n  " + "\n  ".join(TRICKY))
    stored = await on.texts(seen.run.thread_id, run_id=seen.run.id)
    return {"exact": seen.text == stored[0], "whole": stored[0] == "\n".join(TRICKY), "status": seen.run.status}


async def stream_long_text(on: Subject) -> Seen:
    """3000 deltas."""
    seen = await on.streamed("repeat: 3000\nsay: word")
    stored = await on.texts(seen.run.thread_id, run_id=seen.run.id)
    return {
        "exact": seen.text == stored[0],
        "length": len(seen.text),
        "deltas": seen.counts["text_delta"],
        "differences": await seen.differences(on),
    }


async def stream_refusal(on: Subject) -> Seen:
    """A refusal is streamed."""
    seen = await on.streamed("refuse: I would rather not")
    part = seen.messages[0].content[0]
    return {
        "part": [part.type, part.refusal],
        "callbacks": {name: seen.counts[name] for name in ("message_delta", "text_delta", "message_done")},
        "differences": await seen.differences(on),
    }


async def stream_failed(on: Subject) -> Seen:
    """A run that fails in the middle of its answer."""
    seen = await on.streamed("say: half an answer\nfail: server_error")
    return {
        "events": seen.names,
        "status": [seen.run.status, seen.run.last_error.code],
        "messages": [message.status for message in seen.messages],
        "exceptions": seen.counts["exception"],
        "differences": await seen.differences(on),
    }


async def stream_incomplete(on: Subject) -> Seen:
    """A run that uses up its tokens."""
    seen = await on.streamed("repeat: 300\nsay: word", max_completion_tokens=256)
    return {
        "events": seen.names,
        "status": [seen.run.status, seen.run.incomplete_details.reason],
        "messages": [message.status for message in seen.messages],
        "differences": await seen.differences(on),
    }


async def stream_cancelled(on: Subject) -> Seen:
    """A run cancelled while it is streamed."""
    at = await on.thread("say: one two\nslow: 60s\nsay: three")
    asked: list[str] = []

    async def then(event: Any) -> None:
        if event.event == "thread.message.delta" and not asked:
            run = (await got(on.runs.list(at, limit=1))).data[0]
            asked.append((await got(on.runs.cancel(run.id, thread_id=at))).status)

    seen = await on.drained(on.runs.stream, then=then, thread_id=at, assistant_id=on.assistant)
    return {
        "told": asked,
        "events": seen.names,
        "status": seen.run.status,
        "messages": [[message.status, message.incomplete_details.reason] for message in seen.messages],
        "exceptions": seen.counts["exception"],
        "differences": await seen.differences(on),
    }


async def stream_closed_early(on: Subject) -> Seen:
    """A client that leaves its stream does not stop the run."""
    at = await on.thread("slow: 20ms\nsay: a b c d e f")
    async with opened(on.runs.stream(thread_id=at, assistant_id=on.assistant)) as stream:
        async for event in each(stream):
            if event.event == "thread.message.delta":
                break
    run = (await got(on.runs.list(at))).data[0]
    ended = await got(on.runs.poll(run.id, thread_id=at))
    return {"status": ended.status, "texts": await on.texts(at, run_id=run.id)}


async def stream_refused(on: Subject) -> Seen:
    """A stream that cannot begin raises the same errors as any request."""

    async def stream(thread_id: str, assistant_id: str) -> None:
        async with opened(on.runs.stream(thread_id=thread_id, assistant_id=assistant_id)) as opening:
            await got(opening.until_done())

    at = await on.thread("say: x")
    return {
        "thread": await raised(lambda: stream("thread_none", on.assistant)),
        "assistant": await raised(lambda: stream(at, "asst_none")),
    }


async def stream_that_times_out(on: Subject) -> Seen:
    """A client that gives up a silent stream; the run goes on."""
    at = await on.thread("say: one two\nfail: stall")
    handler, counts = on.handlers.counting()
    seen: Seen = {"raised": "nothing"}
    try:
        stream = on.runs.stream(thread_id=at, assistant_id=on.assistant, event_handler=handler, timeout=3)
        async with opened(stream) as entered:
            await got(entered.until_done())
    except Exception as error:
        seen["raised"] = "a timeout" if "Timeout" in type(error).__name__ else repr(error)
    run = (await got(on.runs.list(at))).data[0]
    await got(on.runs.cancel(run.id, thread_id=at))
    seen["callbacks"] = {name: counts[name] for name in ("timeout", "exception", "end")}
    return seen | {"the run went on": run.status}


async def many_streams_at_once(on: Subject) -> Seen:
    """Eight streams at once."""
    scripts = [f"say: answer {number} of many" for number in range(8)]

    def streamed_now(script: str) -> Streamed:
        return now(on.streamed(script))

    if on.is_async:
        seen = await asyncio.gather(*map(on.streamed, scripts))
    else:
        with ThreadPoolExecutor(len(scripts)) as pool:
            seen = list(pool.map(streamed_now, scripts))
    return {"texts": [one.text for one in seen], "statuses": sorted({one.run.status for one in seen})}


CHECKS = (
    stream_text,
    stream_parallel_calls,
    stream_while_the_client_is_asked,
    submit_tool_outputs_stream,
    submit_inside_the_handler,
    submit_inside_the_loop,
    create_and_run_stream,
    plain_event_streams,
    stream_tricky_text,
    stream_long_text,
    stream_refusal,
    stream_failed,
    stream_incomplete,
    stream_cancelled,
    stream_closed_early,
    stream_refused,
    stream_that_times_out,
    many_streams_at_once,
)
