"""Measure of many small files: a batch of 400 of 3 KB into a vector store, a stream beside it. `python -m bench.ingest`.

The server and what loads it share the machine's cores. The stream gets a delta each 10 ms; its gaps are between their
arrivals at a client in a process of its own. Each file has another text, so that nothing is read already.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.contention import Client
from bench.load import request
from bench.upload import MB, PORT, Served, listening, served
from tests.support.cranfield import cranfield

ROOT = Path(__file__).parent.parent
UPSTREAM_PORT = 18109
FILES, SIZE = 400, 3_000
FEW = 300
REST_SECONDS = 3
"""After a batch, until memory is taken: what is there then stays."""

DELTA = b"event: thread.message.delta"
DEMANDS = {"files a second": 150, "gap": 25.0, "memory": 60.0}
Row = tuple[str, str, str, bool]


@dataclass
class Batch:
    """What a batch of files did; times are of the system's monotonic clock."""

    began: float
    ended: float = 0.0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    wrong: int = 0
    """Polls that were told counts which do not add up."""


def texts(count: int, seed: int) -> list[str]:
    """So many texts of words of the collection, all different."""
    words = np.array(sorted({word for text in cranfield().documents.values() for word in text.split()}))
    drawn = np.random.default_rng(seed).choice(words, (count, SIZE // 4))
    return [" ".join(row)[:SIZE] for row in drawn]


async def uploaded(contents: list[str]) -> list[str]:
    """Their files' ids."""
    form = (
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b\r\nContent-Disposition: form-data; '
        'name="file"; filename="{}.txt"\r\n\r\n{}\r\n--b--\r\n'
    )
    found: list[str] = []
    async with Client() as client:
        for at, text in enumerate(contents):
            body = form.format(at, text).encode()
            _, file = await client.send("POST", "/v1/files", body, "multipart/form-data; boundary=b")
            found.append(file["id"])
    return found


async def batch(files: list[str]) -> Batch:
    """Put them into a new store and wait until all are read."""
    async with Client() as client:
        store = await client.made("/v1/vector_stores", {})
        seen = Batch(time.monotonic())
        made = await client.made(f"/v1/vector_stores/{store}/file_batches", {"file_ids": files})
        while not seen.ended:
            _, found = await client.send("GET", f"/v1/vector_stores/{store}/file_batches/{made}")
            counts = seen.counts = found["file_counts"]
            seen.wrong += counts["total"] != len(files) or sum(counts.values()) != 2 * len(files)
            if not counts["in_progress"]:
                seen.ended = time.monotonic()
            await asyncio.sleep(0.05)
    return seen


async def watch(thread: str, assistant: str) -> None:
    """In a process of its own: print when each delta of a stream arrives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=MB)
    body = {"assistant_id": assistant, "model": "paced-9000-10", "stream": True}
    writer.write(request(PORT, "POST", f"/v1/threads/{thread}/runs", json.dumps(body).encode()))
    while data := await reader.read(MB):
        if DELTA in data:
            print(time.monotonic(), flush=True)
    writer.close()


@contextmanager
def stream() -> Generator[list[float]]:
    """A stream beside what is measured; at the end its deltas' times are in the list."""

    async def made() -> list[str]:
        async with Client() as client:
            return [
                await client.made("/v1/threads", {}),
                await client.made("/v1/assistants", {"model": "paced-1-1", "instructions": "x"}),
            ]

    command = [sys.executable, "-m", "bench.ingest", "watch", *asyncio.run(made())]
    process, times = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT), list[float]()
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the stream did not start"
        yield times
    finally:
        process.terminate()
        times += map(float, process.stdout.read().split())
        process.wait()


@contextmanager
def upstream() -> Generator[dict[str, str]]:
    """The fake upstream; the settings of a server that uses it."""
    command = [sys.executable, "-m", "bench.upstream", str(UPSTREAM_PORT)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    try:
        asyncio.run(listening(UPSTREAM_PORT))
        yield {"THREADMILL_UPSTREAM_URL": f"http://127.0.0.1:{UPSTREAM_PORT}/v1"}
    finally:
        process.terminate()
        process.wait()


def cpu(server: Served) -> float:
    """Seconds of processor time of the server and its children, with those of theirs that ended."""
    return _cpu(str(server.process.pid)) / os.sysconf("SC_CLK_TCK")


def _cpu(pid: str) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = [one for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()]
    return sum(map(int, fields[11:15])) + sum(map(_cpu, children))


def speed(server: Served, seed: int) -> list[Row]:
    """Files a second, the stream's gaps meanwhile, the counts."""
    files = asyncio.run(uploaded(texts(FILES, seed)))
    with stream() as times:
        before = cpu(server)
        seen = asyncio.run(batch(files))
        used = cpu(server) - before
    times = [one for one in times if seen.began <= one <= seen.ended]
    gaps = sorted((later - earlier) * 1e3 for earlier, later in zip(times, times[1:], strict=False))
    rate, slow = FILES / (seen.ended - seen.began), gaps[int(len(gaps) * 0.99)]
    exact = not seen.wrong and seen.counts["completed"] == FILES
    note = f"{used / FILES * 1e3:.1f} ms of processor time each"
    return [
        (f"{FILES} files of 3 KB into a vector store", f"{rate:.0f} a second ({note})", "≥ 150 a second", rate >= 150),
        ("a 10 ms stream's gaps meanwhile", f"p99 {slow:.1f} ms, longest {gaps[-1]:.1f} ms", "p99 ≤ 25 ms", slow <= 25),
        ("counts meanwhile and at the end", f"{seen.wrong} wrong, {seen.counts['completed']} read", "exact", exact),
    ]


def memory() -> list[Row]:
    """What 300 files leave in a fresh server's memory."""
    with served({}) as server:
        files = asyncio.run(uploaded(texts(FEW, 2)))
        time.sleep(REST_SECONDS)
        server.forget()
        before = server.memory("VmRSS")
        asyncio.run(batch(files))
        time.sleep(REST_SECONDS)
        grown, peak = server.memory("VmRSS") - before, server.memory("VmHWM") - before
    shown = f"{grown / MB:.0f} MB, at most {peak / MB:.0f} MB; at rest {before / MB:.0f} MB"
    return [(f"memory the server keeps after {FEW} such files", shown, "≤ 60 MB", grown <= 60 * MB)]


def rows() -> list[Row]:
    """The speed after a first batch, and the memory of another server."""
    with upstream() as env, served(env) as server:
        asyncio.run(batch(asyncio.run(uploaded(texts(20, 0)))))  # what the first file of all costs once
        found = speed(server, 1)
    return found + memory()


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        asyncio.run(watch(*sys.argv[2:]))
    else:
        for what, shown, demanded, met in rows():
            print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")
