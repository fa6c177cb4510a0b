"""Checks of keys, retries and restarts: each has a server of its own, which the test's switchboard can stop or fill."""

import openai

from tests.sdk.python.colour import each, got, opened, raised
from tests.sdk.python.subject import Seen, Subject


async def keys_and_projects(on: Subject) -> Seen:
    """A wrong key is refused; projects do not see each other."""
    server = await on.call("/servers?keys=one=sk-first-key-of-project-one,two=sk-second-key-of-project-two")
    one = on.connect(server["url"], "sk-first-key-of-project-one")
    two = on.connect(server["url"], "sk-second-key-of-project-two")
    wrong = on.connect(server["url"], "sk-a-key-nobody-has-ever-made")
    made = await got(one.beta.threads.create())
    return {
        "own": (await got(one.beta.threads.retrieve(made.id))).id == made.id,
        "of another project": await raised(lambda: two.beta.threads.retrieve(made.id)),
        "wrong key": await raised(lambda: wrong.beta.threads.retrieve(made.id)),
    }


async def stream_silence(on: Subject) -> Seen:
    """A streamed answer with silences long enough for several comments of a server that soon sends them."""
    server = await on.call("/servers")
    other = Subject(on.connect(server["url"], "any"), on.backstage, on.connect)
    await other.start()
    seen = await other.streamed("slow: 300ms\nsay: first later")
    return {"status": seen.run.status, "text": seen.text, "events": seen.names}


async def retries_over_a_restart(on: Subject) -> Seen:
    """The server goes away and comes back: the SDK's retries find it."""
    server = await on.call("/servers")
    client = on.connect(server["url"], "any", max_retries=4)
    made = await got(client.beta.threads.create(metadata={"a": "b"}))
    await on.call(f"/servers/{server['number']}/restart")
    found = await got(client.beta.threads.retrieve(made.id))
    retries = (await on.call(f"/servers/{server['number']}/seen"))["retries"]
    return {"kept": found.metadata, "retried": retries[-1] > 0}


async def retries_a_503_when_told(on: Subject) -> Seen:
    """A full disk: 503, tried again after the time the server names."""
    server = await on.call("/servers")
    client = on.connect(server["url"], "any", max_retries=2)
    at = (await got(client.beta.threads.create())).id
    await on.call(f"/servers/{server['number']}/fill")
    impatient = client.with_options(max_retries=0)
    long = "word " * 8000
    refused = await raised(lambda: impatient.beta.threads.messages.create(at, role="user", content=long))
    await on.call(f"/servers/{server['number']}/fill")
    made = await got(client.beta.threads.messages.create(at, role="user", content=long))
    seen = await on.call(f"/servers/{server['number']}/seen")
    listed = [message.id async for message in each(client.beta.threads.messages.list(at))]
    return {
        "without retries": refused,
        "statuses": seen["statuses"][-3:],
        "retry-after": seen["retry_after"],
        "said once": listed == [made.id],
    }


async def a_stream_cut_by_a_restart(on: Subject) -> Seen:
    """The server restarts in the middle of a stream: an error in the stream, then the run goes on."""
    server = await on.call("/servers")
    client = on.connect(server["url"], "any", max_retries=4)
    beta, seen = client.beta, Seen(raised="nothing")
    assistant = (await got(beta.assistants.create(model="rehearsal"))).id
    at = (await got(beta.threads.create(messages=[{"role": "user", "content": "say: one\nslow: 1500ms\nsay: two"}]))).id
    handler, counts = on.handlers.counting()
    try:
        async with opened(
            beta.threads.runs.stream(thread_id=at, assistant_id=assistant, event_handler=handler)
        ) as stream:
            async for event in each(stream):
                if event.event == "thread.message.delta":
                    await on.call(f"/servers/{server['number']}/restart")
    except openai.APIError as error:
        seen["raised"] = "APIError" if type(error) is openai.APIError else repr(error)
    run = (await got(beta.threads.runs.list(at))).data[0]
    ended = await got(beta.threads.runs.poll(run.id, thread_id=at))
    said = (await got(beta.threads.messages.list(at, run_id=run.id))).data
    return seen | {
        "callbacks": {name: counts[name] for name in ("exception", "end")},
        "status": ended.status,
        "newest": said[0].content[0].text.value,
    }


CHECKS = (keys_and_projects, stream_silence, retries_over_a_restart, retries_a_503_when_told, a_stream_cut_by_a_restart)
