"""Measure of what others cost a stream: large bodies, pictures, a thousand pollers. `python -m bench.loop`.

The stream has a delta every 10 ms; what is measured is the longest time between two of them, less those 10 ms.
"""

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.contention import Client
from bench.load import request
from bench.upload import MB, PORT, ROOT, Served, listening, served, upload_file

UPSTREAM_PORT = 18109
STEP = 0.010
DEMAND = 50
POLLERS = 1_000
SECONDS = 10
Row = tuple[str, str, str, bool]


async def watch(assistant: str) -> None:
    """The stream, in a process of its own: what it shows must not wait for the load. Prints the gaps when stdin ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=MB)
    body = {"assistant_id": assistant, "model": "paced-60000-10", "stream": True}
    writer.write(request(PORT, "POST", "/v1/threads/runs", json.dumps(body).encode()))
    times: list[float] = []

    async def read() -> None:
        while data := await reader.read(MB):
            times.extend([time.perf_counter()] * data.count(b"event: thread.message.delta"))

    reading = asyncio.create_task(read())
    while len(times) < 50:
        await asyncio.sleep(STEP)
    times.clear()
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    reading.cancel()
    print(json.dumps([max(0.0, after - before - STEP) * 1000 for before, after in itertools.pairwise(times)]))


async def stalls(assistant: str, work: Callable[[], Awaitable[None]]) -> list[float]:
    """The stream's gaps beyond its pace while the work is done, in milliseconds."""
    command = [sys.executable, "-m", "bench.loop", assistant]
    piped = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdin=piped, stdout=piped, cwd=ROOT, limit=64 * MB)
    assert child.stdin is not None
    assert child.stdout is not None
    await child.stdout.readline()
    await work()
    await asyncio.sleep(0.2)
    child.stdin.close()
    gaps: list[float] = json.loads(await child.stdout.readline())
    await child.wait()
    return gaps


def bodies(thread: str, assistant: str, store: str) -> dict[str, tuple[str, bytes, int]]:
    """What is sent: the path, a body, and the status it is answered with."""
    text, many = "x" * 1_000, 500_000
    run = f"/v1/threads/{thread}/runs"
    search = f"/v1/vector_stores/{store}/search"

    def encoded(path: str, body: Any, status: int = 400) -> tuple[str, bytes, int]:
        return path, json.dumps(body, separators=(",", ":")).encode(), status

    def said(count: int, size: int) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": "x" * size}] * count}

    compared = [{"type": "eq", "key": "k", "value": 1}] * 300_000
    return {
        "5,000 messages of 1 KB": encoded("/v1/threads", said(5_000, 1_000), 200),
        "300 messages of 50 KB": encoded("/v1/threads", said(300, 50_000), 200),
        "500,000 messages": encoded("/v1/threads", said(many, 1)),
        "500,000 empty messages": encoded("/v1/threads", {"messages": [{}] * many}),
        "text parts": encoded("/v1/threads", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * many}]}),
        "a filter of 300,000 parts": encoded(search, {"query": "x", "filters": {"type": "and", "filters": compared}}),
        "20,000 queries": encoded(search, {"query": [text] * 20_000}),
        "a query of 30 MB": encoded(search, {"query": "x" * (30 * MB)}),
        "weights near 1e308": (search, b'{"query":"x","ranking_options":{"hybrid_search":{"embedding_weight":1e308,"text_weight":1e308}}}', 400),
        "tool outputs": encoded(f"{run}/run_x/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "x", "output": "x"}] * many}),
        "tools": encoded(run, {"assistant_id": assistant, "tools": [{"type": "function", "function": {"name": "f"}}] * many}),
        "unknown members": encoded("/v1/threads", {f"m{number}": number for number in range(many)}),
        "a query of 8 MB of escapes": (search, b'{"query":"%s"}' % (b"\\u4e2d" * (8 * MB // 6)), 400),
        "100 messages of 300 KB of escapes": ("/v1/threads", b'{"messages":[%s]}' % b",".join([b'{"role":"user","content":"%s"}' % (b"\\u4e2d" * 50_000)] * 100), 200),
        "a nested body": ("/v1/threads", b'{"messages":' + b"[" * (30 * MB), 400),
    }  # fmt: skip


async def large_bodies(assistant: str) -> list[Row]:
    """A row for each body."""
    found: list[Row] = []
    async with Client() as client:
        thread, store = await client.made("/v1/threads", {}), await client.made("/v1/vector_stores", {})
    for name, (path, body, status) in bodies(thread, assistant, store).items():

        async def send(path: str = path, body: bytes = body, status: int = status, name: str = name) -> None:
            async with Client() as client:
                answered, told = await client.send("POST", path, body)
                assert answered == status, (name, answered, told)

        worst = max(await stalls(assistant, send))
        found.append(row(f"longest stall of a 10 ms stream: {name} ({len(body) / MB:.1f} MB)", worst))
    return found


async def pictures(server: Served, assistant: str) -> list[Row]:
    """A thread with 20 pictures of 15 MB, and a run."""
    content = [
        {"type": "image_file", "image_file": {"file_id": await upload_file(15 * MB, "p.png", "vision")}}
        for _ in range(20)
    ]
    async with Client() as client:
        thread = await client.made(
            "/v1/threads",
            {"messages": [{"role": "user", "content": content[:10]}, {"role": "user", "content": content[10:]}]},
        )
        server.forget()
        before = server.memory("VmRSS")

        async def run() -> None:
            body = {"assistant_id": assistant, "model": "burst-1"}
            made = await client.made(f"/v1/threads/{thread}/runs", body)
            await ended(client, thread, made)

        worst = max(await stalls(assistant, run))
        grown = (server.memory("VmHWM") - before) / MB
    return [
        row("the same: a run over 20 pictures of 15 MB", worst),
        ("growth of the server's memory by that run", f"{grown:.0f} MB", "<= 100 MB", grown <= 100),
    ]


async def ended(client: Client, thread: str, run: str) -> None:
    """Return when the run has completed."""
    while True:
        _, found = await client.send("GET", f"/v1/threads/{thread}/runs/{run}")
        if found["status"] not in ("queued", "in_progress"):
            assert found["status"] == "completed", found["last_error"]
            return
        await asyncio.sleep(0.02)


async def pollers(assistant: str) -> list[Row]:
    """POLLERS clients that wait for one run each as the official SDK does, beside the stream."""
    polled = 0
    async with Client() as client:
        body = {"assistant_id": assistant, "model": "paced-60000-1000"}
        made = [(await client.send("POST", "/v1/threads/runs", body))[1] for _ in range(20)]

    async def poll(number: int) -> None:
        nonlocal polled
        run = made[number % len(made)]
        async with Client() as client:
            while True:
                after = await client.polled(f"/v1/threads/{run['thread_id']}/runs/{run['id']}")
                polled += 1
                await asyncio.sleep(after)

    async def wait() -> None:
        os.nice(
            15
        )  # the stream, its upstream and whoever watches it are on this core too, and must not wait for the load
        tasks: list[asyncio.Task[None]] = []
        for number in range(POLLERS):
            tasks.append(asyncio.create_task(poll(number)))
            await asyncio.sleep(0.002)
        await asyncio.sleep(SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    gaps = await stalls(assistant, wait)
    p99 = statistics.quantiles(gaps, n=100)[98]
    shown = f"{max(gaps):.0f} ms (p99 {p99:.0f} ms, {polled / SECONDS:.0f} polls a second)"
    return [(f"longest stall of a 10 ms stream: {POLLERS:,} pollers", shown, f"<= {DEMAND} ms", max(gaps) <= DEMAND)]


def row(name: str, worst: float) -> Row:
    """A row of the table, told as soon as it is known: all of them take minutes."""
    print(f"… {name}: {worst:.0f} ms", file=sys.stderr, flush=True)
    return name, f"{worst:.0f} ms", f"<= {DEMAND} ms", worst <= DEMAND


async def measured(server: Served) -> list[Row]:
    """All of it."""
    await listening(UPSTREAM_PORT)
    async with Client() as client:
        assistant = await client.made("/v1/assistants", {"model": "paced-1-10", "instructions": "x"})
    return [*await large_bodies(assistant), *await pictures(server, assistant), *await pollers(assistant)]


def rows() -> list[Row]:
    """With a server and an upstream of their own, on one core; the load is on the other."""
    mine, cores = os.sched_getaffinity(0), sorted(os.sched_getaffinity(os.getppid()))
    upstream = subprocess.Popen([sys.executable, "-m", "bench.upstream", str(UPSTREAM_PORT)], stdout=subprocess.DEVNULL)
    try:
        with served({"THREADMILL_UPSTREAM_URL": f"http://127.0.0.1:{UPSTREAM_PORT}/v1"}) as server:
            os.sched_setaffinity(server.process.pid, {cores[0]})
            os.sched_setaffinity(upstream.pid, {cores[-1]})
            os.sched_setaffinity(0, {cores[-1]})
            return asyncio.run(measured(server))
    finally:
        os.sched_setaffinity(0, mine)
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(watch(sys.argv[1]))
        sys.exit()
    for what, shown, demanded, met in rows():
        print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")
