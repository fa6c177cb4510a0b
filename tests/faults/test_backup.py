"""A server is backed up while it serves, then killed; what is restored elsewhere answers the same."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.faults.test_restart import server
from tests.support import scripted as up
from tests.support.scripted import ScriptedUpstream
from tests.support.serving import Api


async def threadmill(*arguments: str) -> str:
    command = [sys.executable, "-m", "threadmill", *arguments]
    done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env={"PATH": "/usr/bin:/bin"})
    said, _ = await done.communicate()
    assert done.returncode == 0, said
    return said.decode()


async def content(api: Api, file: str) -> bytes:
    async with api.session.get(f"{api.base}/v1/files/{file}/content", headers=api.headers) as response:
        assert response.status == 200
        return await response.read()


async def everything(api: Api, thread: str, run: str, store: str) -> dict[str, Any]:
    """What the server says of all that was made before the backup."""
    paths = ["/assistants", "/files", "/vector_stores", f"/threads/{thread}", f"/threads/{thread}/messages"]
    paths += [f"/threads/{thread}/runs", f"/threads/{thread}/runs/{run}/steps", f"/vector_stores/{store}/files"]
    found: dict[str, Any] = {path: await api.ok("GET", path) for path in paths}
    del found["/vector_stores"]["data"][0]["last_active_at"]  # the search below is a use
    search = await api.ok("POST", f"/vector_stores/{store}/search", {"query": "harbour"})
    async with api.session.get(f"{api.base}/v1/threads/{thread}/runs/{run}/events", headers=api.headers) as events:
        # Deltas are in nobody's memory after it: they are in the events that closed their messages.
        replay = [
            frame for frame in (await events.read()).split(b"\n\n") if b"event: thread.message.delta" not in frame
        ]
    contents = [await content(api, one["id"]) for one in found["/files"]["data"] if one["purpose"] == "user_data"]
    return {**found, "contents": contents, "search": search["data"], "events": replay}


async def test_a_server_that_is_killed_is_restored_elsewhere_and_answers_the_same(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    never = asyncio.Event()
    upstream.answer(up.text("An answer."), up.Answer([up.delta(content="half a sen"), never]), up.text("A whole one."))
    async with server(tmp_path / "old", upstream.url) as (process, api):
        assistant = await api.assistant(model="gpt-test", instructions="Be kind. " * 100)
        thread = await api.thread("hi")
        run = (await api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}))["id"]
        assert (await api.finished(thread, run))["status"] == "completed"
        file = await api.file("harbour.txt", b"The harbour master keeps the lamps. " * 3000)
        kept = await api.file("kept.bin", bytes(range(256)) * 5000, "user_data")
        store = (await api.ok("POST", "/vector_stores", {"file_ids": [file]}))["id"]
        await api.read(store)
        busy = await api.thread("and again")
        async with api.opened(f"/threads/{busy}/runs", {"assistant_id": assistant}) as events:
            cut_off = (await anext(events)).data["id"]
            async for event in events:
                if event.name == "thread.message.delta":
                    break
            before = await everything(api, thread, run, store)
            said = await threadmill("backup", str(tmp_path / "b.tar"), "--data-dir", str(tmp_path / "old"))
            assert "1 assistants, 2 threads, 4 messages, 2 runs, 2 files (2 blobs, 1,388,000 bytes)" in said
            await api.ok("DELETE", f"/files/{kept}")  # what comes later is not in it
            process.kill()
            await process.wait()
    await threadmill("restore", str(tmp_path / "b.tar"), "--data-dir", str(tmp_path / "new"))
    async with server(tmp_path / "new", upstream.url) as (_, api):
        assert await everything(api, thread, run, store) == before
        assert (await api.finished(busy, cut_off))["status"] == "completed"
