"""GET …/runs/{id}/events over HTTP: a client that lost its connection comes back with the last id it saw."""

import asyncio

import aiohttp

from tests.support.serving import Live
from threadmill.wire.request.query import INCLUDE_VALUE

CALL = 'say: Let me see.\ncall: f {"x": 1}\n---\nsay: one two three'


async def frames(live: Live, path: str, last: str | None = None) -> list[tuple[str, str]]:
    """(id, event) of every frame of the whole answer."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with aiohttp.ClientSession() as session, session.get(f"{live.url}{path}", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), await answer.text()
        found: list[tuple[str, str]] = []
        for frame in (await answer.text()).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in frame.split("\n") if line and not line.startswith(":"))
            if fields:
                found.append((fields.get("id", ""), fields["event"]))
        return found


async def begun(live: Live) -> tuple[str, str, str]:
    """A run that waits for its client: its events' path, its own, and its call's id."""
    tool = {"type": "function", "function": {"name": "f"}}
    assistant, thread = await live.api.assistant(tools=[tool]), await live.api.thread(CALL)
    run = await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
    path = f"/threads/{thread}/runs/{run['id']}"
    while (run := await live.api.ok("GET", path))["status"] != "requires_action":
        assert run["status"] in ("queued", "in_progress")
    call = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    return f"{path}/events", path, call


async def test_a_reader_stays_through_a_required_action_and_comes_back_to_any_place(live: Live) -> None:
    events, path, call = await begun(live)
    readers = [asyncio.create_task(frames(live, events)) for _ in range(2)]
    outputs = {"tool_outputs": [{"tool_call_id": call, "output": "x"}]}
    await live.api.ok("POST", f"{path}/submit_tool_outputs", outputs)
    whole, again = await asyncio.gather(*readers)
    assert await frames(live, f"{events}?include[]={INCLUDE_VALUE}") == whole, "nothing was searched"
    assert whole == again
    names = [name for _, name in whole]
    assert "thread.run.requires_action" in names
    assert names[-2:] == ["thread.run.completed", "done"]
    for number in (1, len(whole) // 2, len(whole) - 2):
        assert await frames(live, events, whole[number][0]) == whole[number + 1 :]
        assert await frames(live, f"{events}?after={whole[number][0]}") == whole[number + 1 :]
    assert await frames(live, f"{events}?after=1", whole[-2][0]) == [("", "done")], (
        "the header is newer than the address"
    )


async def test_what_is_no_place_or_no_run_is_refused(live: Live) -> None:
    events, _, _ = await begun(live)
    status, error = await live.api.refused("GET", f"{events}?after=999")
    assert (status, error["message"]) == (400, "No event found with id '999' in this run.")
    status, error = await live.api.refused("GET", f"{events}?after=x")
    assert (status, error["param"]) == (400, "after")
    status, _ = await live.api.refused("GET", "/threads/thread_none/runs/run_none/events")
    assert status == 404
