"""Checks of code_interpreter: its calls streamed and polled, what it draws and writes, what it is given."""

from typing import Any

from tests.sdk.python.colour import each, got
from tests.sdk.python.subject import Seen, Subject, bare, outputs_for

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DRAW = f"""\
say: Let me draw.
python:
    import base64, pathlib
    pathlib.Path('/mnt/data/a.csv').write_text('a,b')
    pathlib.Path('/mnt/data/a.png').write_bytes(base64.b64decode('{PIXEL}'))
    print('drawn')
---
say: Here is [it](sandbox:/mnt/data/a.csv)."""


PARALLEL = f"""\
python:
    import base64, pathlib
    for name in 'ab':
        pathlib.Path(f'/mnt/data/{{name}}.png').write_bytes(base64.b64decode('{PIXEL}'))
    'é 你好 🎉'
python: print('two'); 1/0
call: weather {{}}
---
say: done"""


async def stream_code(on: Subject) -> Seen:
    """code_interpreter streamed: the code as it is written, its logs, a picture, a link to a file, all callbacks."""
    seen = await on.streamed(DRAW, assistant_id=await _coder(on))
    image, text = seen.messages[-1].content
    (link,) = text.text.annotations
    steps = [step async for step in each(on.runs.steps.list(seen.run.id, thread_id=seen.run.thread_id, order="asc"))]
    (call,) = next(step for step in steps if step.type == "tool_calls").step_details.tool_calls
    ran = call.code_interpreter
    drawn = await got(on.files.retrieve(image.image_file.file_id))
    return {
        "events": seen.names,
        "callbacks": {name: count for name, count in seen.counts.items() if name not in COUNTED_BY_PIECES},
        "steps": [step.type for step in steps],
        "code": ran.input == _streamed_code(seen.events),
        "outputs": [getattr(output, "logs", output.type) for output in ran.outputs],
        "picture": [drawn.purpose, (await _content(on, drawn.id))[:4] == b"\x89PNG"],
        "same picture": ran.outputs[-1].image.file_id == drawn.id,
        "link": [link.type, link.text, text.text.value[link.start_index : link.end_index] == link.text],
        "linked": (await _content(on, link.file_path.file_id)).decode(),
        "differences": await seen.differences(on),
    }


COUNTED_BY_PIECES = ("event", "run_step_delta", "tool_call_delta")
"""How many deltas code and logs come in is nothing a client can rely on."""


def _streamed_code(events: list[Any]) -> str:
    deltas = [event.data.delta.step_details for event in events if event.event == "thread.run.step.delta"]
    calls = [call for details in deltas for call in details.tool_calls]
    return "".join(call.code_interpreter.input or "" for call in calls)


async def stream_parallel_code(on: Subject) -> Seen:
    """Two code_interpreter calls and a function in one step: two pictures, an error, and the run waits."""
    weather: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    seen = await on.streamed(PARALLEL, assistant_id=await _coder(on, weather))
    (waiting,) = [one async for one in each(on.runs.steps.list(seen.run.id, thread_id=seen.run.thread_id))]
    snapshot = seen.steps[0].step_details
    first, second, function = waiting.step_details.tool_calls
    (failed,) = second.code_interpreter.outputs
    drawn = [output.image.file_id for output in first.code_interpreter.outputs if output.type == "image"]
    done = await got(
        on.runs.submit_tool_outputs_and_poll(
            run_id=seen.run.id, thread_id=seen.run.thread_id, tool_outputs=outputs_for(seen.run, "sunny")
        )
    )
    (message,) = [one async for one in each(on.threads.messages.list(done.thread_id, run_id=done.id))]
    return {
        "status": [seen.run.status, done.status],
        "asked": [call.function.name for call in seen.run.required_action.submit_tool_outputs.tool_calls],
        "created": seen.counts["tool_call_created"],
        "printed": [first.code_interpreter.outputs[0].logs, failed.logs.splitlines()[-1]],
        "outputs": [output.type for output in first.code_interpreter.outputs],
        "function": [function.type, function.function.output],
        "snapshots": bare(snapshot.to_dict(mode="json")) == bare(waiting.step_details.to_dict(mode="json")),
        "shown": [part.type for part in message.content],
        "in order": [part.image_file.file_id for part in message.content[:2]] == drawn,
    }


async def code_and_poll(on: Subject) -> Seen:
    """code_interpreter polled: it reads what a message brings, and keeps its variables for the next run."""
    file = await got(on.files.create(file=("sales.csv", b"may,40"), purpose="assistants"))
    attached: Any = [{"file_id": file.id, "tools": [{"type": "code_interpreter"}]}]
    script = "python:\n    sold = open('/mnt/data/sales.csv').read()\n    print(sold)\n---\nsay: {{output}}"
    message: Any = {"role": "user", "content": script, "attachments": attached}
    at = (await got(on.threads.create(messages=[message]))).id
    coder = await _coder(on)
    run = await got(on.runs.create_and_poll(thread_id=at, assistant_id=coder))
    await got(on.threads.messages.create(at, role="user", content="python: sold.upper()\n---\nsay: {{output}}"))
    again = await got(on.runs.create_and_poll(thread_id=at, assistant_id=coder))
    return {
        "statuses": [run.status, again.status],
        "read": await on.texts(at, run_id=run.id),
        "kept": await on.texts(at, run_id=again.id),
    }


async def _coder(on: Subject, *more: Any) -> str:
    tools: Any = [{"type": "code_interpreter"}, *more]
    return (await got(on.assistants.create(model="rehearsal", tools=tools))).id


async def _content(on: Subject, file_id: str) -> bytes:
    return (await got(on.files.content(file_id))).read()


CHECKS = (stream_code, stream_parallel_code, code_and_poll)
