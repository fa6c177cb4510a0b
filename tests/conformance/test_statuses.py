"""Each request in each of a run's nine statuses answers as the service does (behaviour.md 1.4 to 1.9)."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.statuses import ANSWERS, CANCEL, MESSAGE, MODIFY, OK, RUN, STATUSES, SUBMIT, Request
from tests.support.serving import Live, serving
from threadmill.domain.ids import ProjectId
from threadmill.domain.run import Run, RunStatus
from threadmill.engine.ports.store import Update, WriteSet

SCRIPTS = {
    "queued": "say: later",
    "in_progress": "fail: stall",
    "requires_action": "call: weather {}",
    "cancelling": "call: weather {}",
    "cancelled": "call: weather {}",
    "failed": "fail: server_error",
    "completed": "say: done",
    "incomplete": "say: cut\nfinish: length",
    "expired": "call: weather {}",
}
WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "weather"}}


class Subject(NamedTuple):
    """A run in the status asked for."""

    thread: str
    run: str
    call: str


async def subject(live: Live, assistant: str, status: str) -> Subject:
    thread = await live.api.thread(SCRIPTS[status])
    run = (await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
    path, call = f"/threads/{thread}/runs/{run}", ""
    if "call:" in SCRIPTS[status]:
        waiting = await live.api.finished(thread, run)
        call = waiting["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    if status == "cancelled":
        await live.api.ok("POST", f"{path}/cancel")
    if status == "cancelling":
        await held_by_another(live, run)
    if status == "expired":
        await past_its_time(live, run)
    if status not in ("queued", "in_progress", "cancelling"):
        await live.api.finished(thread, run)
    assert (await live.api.ok("GET", path))["status"] == status
    return Subject(thread, run, call)


async def held_by_another(live: Live, run_id: str) -> None:
    """As another process leaves a run that it executes and shall cancel: only the holder ends it."""
    run = await stored(live, run_id)
    cancelling = replace(run, status=RunStatus.CANCELLING, lease_until=2**40, version=run.version + 1)
    await live.assembly.engine.ports.store.apply(WriteSet((Update(cancelling, run.version),)))


async def past_its_time(live: Live, run_id: str) -> None:
    """Ten minutes later, for the sweep."""
    run = await stored(live, run_id)
    overdue = replace(run, expires_at=run.created_at - 1, version=run.version + 1)
    await live.assembly.engine.ports.store.apply(WriteSet((Update(overdue, run.version),)))
    while (await stored(live, run_id)).status is not RunStatus.EXPIRED:
        await live.api.ok("GET", f"/threads/{run.thread_id}/runs/{run_id}")


async def stored(live: Live, run_id: str) -> Run:
    run = await live.assembly.engine.ports.store.get(Run, ProjectId("default"), run_id)
    assert run is not None
    return run


def body_of(request: Request, assistant: str, call: str) -> dict[str, Any]:
    return {
        CANCEL: {},
        SUBMIT: {"tool_outputs": [{"tool_call_id": call, "output": "x"}]},
        MODIFY: {"metadata": {"k": "v"}},
        MESSAGE: {"role": "user", "content": "x"},
        RUN: {"assistant_id": assistant},
    }[request]


@pytest.mark.parametrize("status", STATUSES)
async def test_every_request_in_every_status_answers_as_the_service_does(tmp_path: Path, status: str) -> None:
    config = tmp_path / "threadmill.toml"
    config.write_text("[limits]\nmax_runs = 1\n" if status == "queued" else "")
    async with serving(tmp_path / "data", CONFIG=str(config)) as live:
        assistant = await live.api.assistant(tools=[WEATHER])
        if status == "queued":  # the only worker is kept busy
            await subject(live, assistant, "in_progress")
        subjects = await asyncio.gather(*(subject(live, assistant, status) for _ in ANSWERS))
        for here, (request, answers) in zip(subjects, ANSWERS.items(), strict=True):
            path = request.path.format(thread=here.thread, run=here.run)
            reply = await live.api.call("POST", path, body_of(request, assistant, here.call))
            if answers[status] == OK:
                assert reply.status == 200, (request.name, reply.body)
                continue
            error = {
                "message": answers[status].format(thread=here.thread, run=here.run),
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
            assert (reply.status, reply.body) == (400, {"error": error}), request.name
