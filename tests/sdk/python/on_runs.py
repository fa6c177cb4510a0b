"""Checks of polling helpers, run steps and run endings. Each returns what it saw."""

from typing import Any

from tests.sdk.python.colour import each, got, raised
from tests.sdk.python.subject import WEATHER, Seen, Subject, outputs_for


async def create_and_poll(on: Subject) -> Seen:
    """A run is made and polled to its end; its text and usage are there."""
    at, run = await on.polled("say: one two")
    usage = run.usage
    return {
        "status": run.status,
        "texts": await on.texts(at, run_id=run.id),
        "usage adds up": usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0,
    }


async def create_then_poll(on: Subject) -> Seen:
    """`create` and `poll` apart, with an interval of one's own."""
    at = await on.thread("say: one two")
    run = await got(on.runs.create(thread_id=at, assistant_id=on.assistant))
    polled = await got(on.runs.poll(run.id, thread_id=at, poll_interval_ms=20))
    return {"created": run.status, "polled": polled.status, "same": polled.id == run.id}


async def create_and_run(on: Subject) -> Seen:
    """`create_and_run` and `create_and_run_poll` make thread and run at once."""
    thread: Any = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": "b"}}
    run = await got(on.threads.create_and_run(assistant_id=on.assistant, thread=thread))
    ended = await got(on.runs.poll(run.id, thread_id=run.thread_id))
    polled = await got(on.threads.create_and_run_poll(assistant_id=on.assistant, thread=thread))
    return {
        "created": run.status,
        "polled": [ended.status, polled.status],
        "texts": await on.texts(polled.thread_id),
        "metadata": (await got(on.threads.retrieve(polled.thread_id))).metadata,
    }


TWO_CALLS = 'call: weather {"city": "Oslo"}\ncall: weather {}\n---\nsay: {{outputs.0}} and {{outputs.1}}'


async def submit_tool_outputs_and_poll(on: Subject) -> Seen:
    """Two parallel function calls are answered; the step keeps the outputs, the model uses them."""
    at, waiting = await on.polled(TWO_CALLS)
    calls = waiting.required_action.submit_tool_outputs.tool_calls
    outputs = outputs_for(waiting, "sun", "rain")
    run = await got(on.runs.submit_tool_outputs_and_poll(run_id=waiting.id, thread_id=at, tool_outputs=outputs))
    steps = [step async for step in each(on.runs.steps.list(run.id, thread_id=at, order="asc"))]
    return {
        "waiting": waiting.status,
        "calls": [[call.function.name, call.function.arguments] for call in calls],
        "status": run.status,
        "required_action": run.required_action,
        "steps": [step.type for step in steps],
        "kept": [call.function.output for call in steps[0].step_details.tool_calls],
        "texts": await on.texts(at, run_id=run.id),
    }


async def submit_tool_outputs_then_poll(on: Subject) -> Seen:
    """Outputs for some of the calls, and outputs that come too late, are refused."""
    at, waiting = await on.polled(TWO_CALLS)
    outputs = outputs_for(waiting, "sun", "rain")
    some = await raised(lambda: on.runs.submit_tool_outputs(waiting.id, thread_id=at, tool_outputs=outputs[:1]))
    run = await got(on.runs.submit_tool_outputs(waiting.id, thread_id=at, tool_outputs=outputs))
    ended = await got(on.runs.poll(run.id, thread_id=at))
    late = await raised(lambda: on.runs.submit_tool_outputs(waiting.id, thread_id=at, tool_outputs=outputs))
    return {"only one of two": some, "submitted": run.status, "polled": ended.status, "too late": late}


async def cancel(on: Subject) -> Seen:
    """A run is cancelled: `cancelling`, then `cancelled`, then no more; the thread is free again."""
    at = await on.thread("slow: 1s\nsay: a b c d e f")
    run = await got(on.runs.create(thread_id=at, assistant_id=on.assistant))
    told = await got(on.runs.cancel(run.id, thread_id=at))
    ended = await got(on.runs.poll(run.id, thread_id=at))
    again = await raised(lambda: on.runs.cancel(run.id, thread_id=at))
    free = await got(on.threads.messages.create(at, role="user", content="hi"))
    return {"told": told.status, "ended": ended.status, "again": again, "thread is free": free.role == "user"}


async def cancel_while_the_client_is_asked(on: Subject) -> Seen:
    """A run that waits for outputs can be cancelled."""
    at, waiting = await on.polled("call: weather {}")
    await got(on.runs.cancel(waiting.id, thread_id=at))
    ended = await got(on.runs.poll(waiting.id, thread_id=at))
    return {"waiting": waiting.status, "ended": ended.status}


async def every_parameter_of_a_run(on: Subject) -> Seen:
    """Every parameter of create-run is taken and shown, `include` too."""
    given: Any = {
        "model": "rehearsal",
        "instructions": "Be kind.",
        "additional_instructions": "Be brief.",
        "additional_messages": [{"role": "user", "content": "say: the newest"}],
        "metadata": {"key": "value"},
        "temperature": 0.5,
        "top_p": 0.25,
        "max_prompt_tokens": 5000,
        "max_completion_tokens": 300,
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "tool_choice": "none",
        "tools": [WEATHER],
        "parallel_tool_calls": False,
        "response_format": {"type": "text"},
        "include": ["step_details.tool_calls[*].file_search.results[*].content"],
    }
    at, run = await on.polled("say: old", **given)
    kept = run.to_dict(mode="json")
    own = {"additional_instructions", "additional_messages", "include", "instructions", "tools"}
    return {
        "status": run.status,
        "not echoed": [key for key in given if key not in own and kept[key] != given[key]],
        "tools": [tool.function.name for tool in run.tools],
        "texts": await on.texts(at),
    }


async def runs_that_do_not_complete(on: Subject) -> Seen:
    """Rate limits, server errors, token budgets and content filters end runs as they should."""
    _, failed = await on.polled("fail: rate_limit")
    _, broken = await on.polled("say: half an answer\nfail: server_error")
    at, short = await on.polled("repeat: 300\nsay: word", max_completion_tokens=256)
    _, filtered = await on.polled("say: half\nfinish: content_filter")
    message = (await got(on.threads.messages.list(at, limit=1))).data[0]
    return {
        "rate limit": [failed.status, failed.last_error.code],
        "server error": [broken.status, broken.last_error.code],
        "too long": [short.status, short.incomplete_details.reason, message.status, message.incomplete_details.reason],
        "filtered": filtered.status,
    }


async def run_steps(on: Subject) -> Seen:
    """Steps are listed, paged, retrieved."""
    at, run = await on.polled("say: one\ncall: weather {}")
    listed = (await got(on.runs.steps.list(run.id, thread_id=at))).data
    one = await got(on.runs.steps.retrieve(listed[0].id, thread_id=at, run_id=run.id))
    include: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
    full = await got(on.runs.steps.list(run.id, thread_id=at, include=include, order="asc", limit=1))
    return {
        "newest first": [[step.type, step.status] for step in listed],
        "retrieved": one == listed[0],
        "one by one": [len(full.data), full.has_next_page()],
        "missing": await raised(lambda: on.runs.steps.retrieve("step_none", thread_id=at, run_id=run.id)),
    }


async def modify_a_run(on: Subject) -> Seen:
    """Metadata of a run is changed."""
    at, run = await on.polled("say: one")
    changed = await got(on.runs.update(run.id, thread_id=at, metadata={"a": "b"}))
    again = await got(on.runs.retrieve(run.id, thread_id=at))
    return {"metadata": changed.metadata, "same": again == changed}


async def a_locked_thread(on: Subject) -> Seen:
    """While a run is active its thread takes no message and no run, but can be read."""
    at, waiting = await on.polled("call: weather {}")
    seen = {
        "message": await raised(lambda: on.threads.messages.create(at, role="user", content="x")),
        "run": await raised(lambda: on.runs.create(thread_id=at, assistant_id=on.assistant)),
        "stream": await raised(lambda: on.runs.create(thread_id=at, assistant_id=on.assistant, stream=True)),
        "read": len((await got(on.threads.messages.list(at))).data),
    }
    await got(on.runs.cancel(waiting.id, thread_id=at))
    return seen


CHECKS = (
    create_and_poll,
    create_then_poll,
    create_and_run,
    submit_tool_outputs_and_poll,
    submit_tool_outputs_then_poll,
    cancel,
    cancel_while_the_client_is_asked,
    every_parameter_of_a_run,
    runs_that_do_not_complete,
    run_steps,
    modify_a_run,
    a_locked_thread,
)
