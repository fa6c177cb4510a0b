"""Checks of objects, lists, raw answers, options and errors."""

import json
from typing import Any

from tests.sdk.python.colour import each, got, opened, raised
from tests.sdk.python.subject import WEATHER, Seen, Subject


async def assistants(on: Subject) -> Seen:
    """Assistants are created, changed, retrieved, deleted."""
    made = await got(
        on.assistants.create(
            model="rehearsal", name="A", description="D", instructions="I", tools=[WEATHER],
            metadata={"a": "b"}, temperature=0.5, top_p=0.5, response_format={"type": "json_object"},
        )
    )  # fmt: skip
    changed = await got(on.assistants.update(made.id, name="B", metadata={"c": "d"}))
    found = await got(on.assistants.retrieve(made.id))
    gone = await got(on.assistants.delete(made.id))
    return {
        "made": [made.name, made.description, made.instructions, made.temperature, made.response_format.type],
        "changed": [changed.name, changed.description, changed.metadata],
        "found": found == changed,
        "gone": [gone.deleted, gone.object],
        "after": await raised(lambda: on.assistants.retrieve(made.id)),
    }


async def threads(on: Subject) -> Seen:
    """Threads likewise."""
    made = await got(on.threads.create())
    changed = await got(on.threads.update(made.id, metadata={"a": "b"}))
    found = await got(on.threads.retrieve(made.id))
    gone = await got(on.threads.delete(made.id))
    return {
        "metadata": [made.metadata, changed.metadata, found.metadata],
        "gone": [gone.deleted, gone.object],
        "after": await raised(lambda: on.threads.retrieve(made.id)),
    }


async def messages(on: Subject) -> Seen:
    """Messages likewise, with text and image parts."""
    at, said = await on.thread("first"), on.threads.messages
    image: Any = {"type": "image_url", "image_url": {"url": "https://images.test/a.png"}}
    parts: Any = [{"type": "text", "text": "look"}, image]
    made = await got(said.create(at, role="user", content=parts, metadata={"a": "b"}))
    answer = await got(said.create(at, role="assistant", content="seen"))
    changed = await got(said.update(made.id, thread_id=at, metadata={"c": "d"}))
    gone = await got(said.delete(answer.id, thread_id=at))
    return {
        "parts": [part.type for part in made.content],
        "detail": made.content[1].image_url.detail,
        "role": answer.role,
        "metadata": changed.metadata,
        "gone": [gone.deleted, gone.object],
        "left": len((await got(said.list(at))).data),
    }


async def lists_page_by_themselves(on: Subject) -> Seen:
    """Auto-paging, page by page, both orders, `before`."""
    at = (await got(on.threads.create(messages=[{"role": "user", "content": f"{n}"} for n in range(25)]))).id
    said = on.threads.messages
    pages: list[int] = []
    page = await got(said.list(at, limit=10))
    while True:
        pages.append(len(page.data))
        if not page.has_next_page():
            break
        page = await got(page.get_next_page())
    down = [message.content[0].text.value async for message in each(said.list(at, limit=10))]
    up = [message.content[0].text.value async for message in each(said.list(at, limit=7, order="asc"))]
    third = (await got(said.list(at, order="asc", limit=3))).data[2]
    before = (await got(said.list(at, order="asc", before=third.id))).data
    return {
        "pages": [size for size in pages if size],  # SDK 1.55 does not look at has_more and asks once too often
        "newest first": down[:2],
        "all": len(set(down)),
        "turned": up == down[::-1],
        "before": len(before),
    }


async def every_list(on: Subject) -> Seen:
    """Lists of assistants, runs and steps; a limit out of range."""
    at, run = await on.polled("say: one")
    again = await got(on.runs.create_and_poll(thread_id=at, assistant_id=on.assistant))
    made = [(await got(on.assistants.create(model="rehearsal"))).id for _ in range(3)]
    newest = [one.id for one in (await got(on.assistants.list(limit=100))).data]
    runs = [one.id async for one in each(on.runs.list(at, limit=1))]
    steps = [one.run_id async for one in each(on.runs.steps.list(run.id, thread_id=at, limit=1))]
    return {
        "assistants": [one for one in newest if one in made] == made[::-1],
        "runs": runs == [again.id, run.id],
        "steps": steps == [run.id],
        "bad limit": await raised(lambda: on.assistants.list(limit=101)),
    }


async def models(on: Subject) -> Seen:
    """Models are listed and retrieved."""
    listed = [model.id async for model in each(on.client.models.list())]
    one = await got(on.client.models.retrieve("rehearsal"))
    return {
        "listed": "rehearsal" in listed,
        "one": [one.id, one.object],
        "missing": await raised(lambda: on.client.models.retrieve("nobody")),
    }


async def raw_answers(on: Subject) -> Seen:
    """Raw responses: headers, request id, `parse`."""
    raw = await got(on.threads.with_raw_response.create(metadata={"a": "b"}))
    parsed = await got(raw.parse())
    return {
        "status": raw.http_response.status_code,
        "version": raw.headers["openai-version"],
        "request id": raw.headers["x-request-id"].startswith("req_") and raw.request_id == raw.headers["x-request-id"],
        "milliseconds": raw.headers["openai-processing-ms"].isdecimal(),
        "type": raw.headers["content-type"],
        "parsed": [parsed.object, parsed.metadata],
        "on the object": parsed._request_id == raw.request_id,
    }


async def streaming_answers(on: Subject) -> Seen:
    """Streaming responses, line by line."""
    at = await on.thread("say: one two")
    create = on.runs.with_streaming_response.create
    async with opened(create(thread_id=at, assistant_id=on.assistant, stream=True)) as answer:
        kind = answer.headers["content-type"]
        lines = [line async for line in each(answer.iter_lines())]
    async with opened(on.threads.with_streaming_response.retrieve(at)) as answer:
        parsed = await got(answer.parse())
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return {
        "type": kind,
        "last": [line for line in lines if line][-2:],
        "objects": sorted({json.loads(line)["object"] for line in data[:-1]}),
        "parsed": parsed.id == at,
    }


async def options(on: Subject) -> Seen:
    """`with_options`, extra headers, query and body; no beta header, the old one, an unknown parameter."""
    quick = on.client.with_options(timeout=20, max_retries=1, default_headers={"X-Mine": "1"})
    at = (await got(quick.beta.threads.create(extra_headers={"X-Other": "2"}))).id
    for text in ("one", "two"):
        await got(quick.beta.threads.messages.create(at, role="user", content=text))
    copied = on.client.copy(max_retries=0)
    listed = await got(copied.beta.threads.messages.list(at, extra_query={"limit": "1"}))
    extra = await got(quick.beta.threads.create(extra_body={"metadata": {"a": "b"}}))
    bare = await got(quick.beta.threads.create(extra_headers={"OpenAI-Beta": ""}))
    old = {"OpenAI-Beta": "assistants=v1"}
    return {
        "listed": len(listed.data),
        "extra body": extra.metadata,
        "no beta header": bare.object,
        "the old beta": await raised(lambda: quick.beta.threads.create(extra_headers=old)),
        "unknown parameter": await raised(lambda: quick.beta.threads.create(extra_body={"nonsense": 1})),
    }


async def errors_by_class(on: Subject) -> Seen:
    """Each status raises the SDK's own class, with `param` and `code`."""
    at = await on.thread("x")
    human: Any = "human"
    nothing: Any = ""
    client = on.client
    return {
        "bad value": await raised(lambda: on.threads.messages.create(at, role=human, content="x")),
        "empty": await raised(lambda: on.threads.messages.create(at, role="user", content=nothing)),
        "missing": await raised(lambda: on.threads.retrieve("thread_none")),
        "undefined": await raised(lambda: on.threads.retrieve("undefined")),
        "no such run": await raised(lambda: on.runs.retrieve("run_none", thread_id=at)),
        "no such message": await raised(lambda: on.threads.messages.retrieve("msg_none", thread_id=at)),
        "bad cursor": (await raised(lambda: on.threads.messages.list(at, after="msg_none")))[:2],
        "no such route": await raised(lambda: client.get("/nowhere", cast_to=object)),
        "wrong method": await raised(lambda: client.patch("/threads", cast_to=object)),
        "metadata": await raised(lambda: on.threads.create(metadata={f"{n}": "" for n in range(17)})),
    }


CHECKS = (
    assistants,
    threads,
    messages,
    lists_page_by_themselves,
    every_list,
    models,
    raw_answers,
    streaming_answers,
    options,
    errors_by_class,
)
