"""Measure of the server's memory: at rest, with an upstream, after tokens were counted, after much was said, after a hostile
document. `python -m bench.memory`.
"""

import asyncio
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.contention import Client
from bench.upload import MB, Served, listening, served, uploaded

UPSTREAM_PORT = 18109
AT_REST, AFTER_COUNT, GROWTH = 130, 170, 100
THREADS, MESSAGES, SIZE = 400, 4, 250_000
REST_SECONDS = 10
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
Row = tuple[str, str, str, bool]


def family(server: Served) -> int:
    """Bytes that the server and the processes it started have for themselves, shared ones divided."""
    pids, found = [server.process.pid], 0
    for pid in pids:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        pids += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        found += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return found


def row(name: str, server: Served, most: int) -> Row:
    """A row of the table: the server with its children, and alone with what it shares with others."""
    now, alone = family(server) / MB, server.memory("VmRSS") / MB
    return (
        name,
        f"{now:.0f} MB (resident {alone:.0f} MB without its children)",
        f"<= {most} MB",
        max(now, alone) <= most,
    )


def growth_row(name: str, server: Served, most: int, before: float) -> Row:
    """A row of the table: what the server has more than `before`."""
    now = server.memory("VmRSS") / MB - before
    return name, f"{now:.0f} MB", f"<= {most} MB", now <= most


async def counted() -> None:
    """A run whose prompt may not be too long, so that its tokens must be counted, in either vocabulary."""
    async with Client() as client:
        for model in ("burst-1", "gpt-4-10"):  # as the upstream of the bench takes it: 4 chunks, one each 10 ms
            assistant = await client.made("/v1/assistants", {"model": model, "instructions": "x" * 2_000})
            thread = {"messages": [{"role": "user", "content": "word " * 1_000}]}
            body = {"assistant_id": assistant, "thread": thread, "max_prompt_tokens": 4_000}
            await ended(client, (await client.send("POST", "/v1/threads/runs", body))[1])


async def ended(client: Client, run: Any) -> None:
    """Return when the run is over."""
    path = f"/v1/threads/{run['thread_id']}/runs/{run['id']}"
    while (await client.send("GET", path))[1]["status"] in ("queued", "in_progress"):
        await asyncio.sleep(0.02)


async def much_said() -> None:
    """THREADS threads, each run once, of whose messages the model is told the last."""
    async with Client() as client:
        assistant = await client.made("/v1/assistants", {"model": "burst-1"})
        said = {"messages": [{"role": "user", "content": "x" * SIZE}] * MESSAGES}
        last = {"type": "last_messages", "last_messages": 1}
        for _ in range(THREADS):
            body = {"assistant_id": assistant, "thread": said, "truncation_strategy": last}
            await ended(client, (await client.send("POST", "/v1/threads/runs", body))[1])


def document(characters: int) -> bytes:
    """A DOCX whose text has so many characters."""
    space = WORD.strip("{}")
    paragraph = "<w:p><w:r><w:t>" + "word " * 20_000 + "</w:t></w:r></w:p>"
    body = paragraph * (characters // 100_000)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>')
    return held.getvalue()


async def read(data: bytes) -> str:
    """Put a document into a vector store; how that ended."""
    file = await uploaded(data, "large.docx", "assistants")
    async with Client() as client:
        store = await client.made("/v1/vector_stores", {"file_ids": [file]})
        while True:
            _, found = await client.send("GET", f"/v1/vector_stores/{store}/files/{file}")
            if found["status"] != "in_progress":
                return json.dumps(found["last_error"])
            await asyncio.sleep(0.1)


def measured(server: Served) -> list[Row]:
    """With an upstream."""
    asyncio.run(listening(UPSTREAM_PORT))
    time.sleep(2)
    found = [row("memory of a server at rest, with an upstream", server, AT_REST)]
    asyncio.run(counted())
    found.append(row("the same after tokens were counted", server, AFTER_COUNT))
    before = server.memory("VmRSS") / MB
    asyncio.run(much_said())
    time.sleep(REST_SECONDS)
    name = f"its growth by {THREADS} threads x {MESSAGES} messages of {SIZE // 1_000} KB, each run once, after {REST_SECONDS} s"
    found.append(growth_row(name, server, GROWTH, before))
    server.forget()
    before = server.memory("VmRSS") / MB
    data = document(60_000_000)
    asyncio.run(read(data))
    most = server.memory("VmHWM") / MB - before
    name = f"its highest while a DOCX of {len(data) / MB:.1f} MB with 60 million characters is refused"
    return [*found, (name, f"+ {most:.0f} MB", f"<= {GROWTH} MB", most <= GROWTH)]


def rows() -> list[Row]:
    """With servers of their own."""
    with served({}) as server:
        time.sleep(2)
        found = [row("memory of a server at rest, without an upstream", server, AT_REST)]
    upstream = subprocess.Popen([sys.executable, "-m", "bench.upstream", str(UPSTREAM_PORT)], stdout=subprocess.DEVNULL)
    try:
        with served({"THREADMILL_UPSTREAM_URL": f"http://127.0.0.1:{UPSTREAM_PORT}/v1"}) as server:
            return [*found, *measured(server)]
    finally:
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    for what, shown, demanded, met in rows():
        print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")
