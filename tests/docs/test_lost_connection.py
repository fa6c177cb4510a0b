"""The client of docs/how-to/survive-a-lost-connection.md, as it stands, behind a line that is cut again and again."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.serving import Live

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "survive-a-lost-connection.md").read_text()


async def cutting_line(target: str, budget: int) -> asyncio.Server:
    """A line to `target` (host:port) that is cut when `budget` bytes of an answer have passed; each try gets more."""
    host, _, port = target.partition(":")
    cuts = 0

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int) -> None:
        while limit > 0 and (data := await source.read(min(4096, limit))):
            sink.write(data)
            await sink.drain()
            limit -= len(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cuts
        cuts += 1
        answers, asks = await asyncio.open_connection(host, int(port))
        asking = asyncio.create_task(pump(reader, asks, 1 << 30))
        with suppress(ConnectionError):
            await pump(answers, writer, cuts * budget)
        asking.cancel()
        asks.close()
        writer.transport.abort()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_the_client_of_the_page_reads_every_event_once_over_many_cuts(live: Live) -> None:
    words = " ".join(f"word{number}" for number in range(40))
    assistant, thread = await live.api.assistant(), await live.api.thread(f"say: {words}")
    run = await live.api.ok("POST", f"/threads/{thread}/runs", {"assistant_id": assistant})
    names: dict[str, Any] = {}
    exec(PAGE.split("```python\n")[1].split("```")[0], names)

    def read(base: str) -> list[tuple[str, str]]:
        told: Iterator[tuple[str, Any]] = names["follow"](base, "any", thread, run["id"])
        return [(event, json.dumps(data)) for event, data in told]

    whole = await asyncio.to_thread(read, live.url)
    assert whole[-1][0] == "thread.run.completed"
    line = await cutting_line(live.url.removeprefix("http://").removesuffix("/v1"), 1500)
    async with line:
        port = line.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(read, f"http://127.0.0.1:{port}/v1") == whole
