"""Measure of what runs leave behind: bytes of database a run. `python -m bench.growth`, with `tables` also by table."""

import asyncio
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.contention import Client
from bench.memory import ended
from bench.upload import ROOT, Served

SHORT_RUNS, LARGE_RUNS = 400, 20
SHORT_DEMAND, LARGE_DEMAND = 6.0, 1.2
QUESTION = "say: The capital of France is Paris, and it has been for a long time."
Row = tuple[str, str, str, bool]


def database_bytes(directory: Path) -> int:
    """Of the database, with what still waits in its log."""
    with closing(sqlite3.connect(directory / "threadmill.db")) as database:
        (pages,), (size,) = (database.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        return pages * size


def by_table(directory: Path) -> dict[str, int]:
    """Bytes of each table and index."""
    with closing(sqlite3.connect(directory / "threadmill.db")) as database:
        return dict(database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall())


async def run_many(client: Client, count: int, assistant: str, **more: Any) -> None:
    """Threads of their own, a question and a run in each."""
    for _ in range(count):
        thread = await client.made("/v1/threads", {})
        await client.made(f"/v1/threads/{thread}/messages", {"role": "user", "content": QUESTION})
        body = {"assistant_id": assistant, **more}
        await ended(client, (await client.send("POST", f"/v1/threads/{thread}/runs", body))[1])


def tools(number: int = 0) -> list[dict[str, Any]]:
    """50 functions of 4 KB."""
    text = f"{number} What this function is for, at length. " * 105
    return [{"type": "function", "function": {"name": f"tool_{n}", "description": text[:3990]}} for n in range(50)]


async def measured(directory: Path) -> tuple[float, float, float]:
    """Bytes of a short run; of a run that inherits much and of one that brings it along, as shares of their own text."""
    async with Client() as client:
        short = await client.made("/v1/assistants", {"model": "rehearsal", "instructions": "You are helpful."})
        await run_many(client, 20, short)
        before = database_bytes(directory)
        await run_many(client, SHORT_RUNS, short)
        small = (database_bytes(directory) - before) / SHORT_RUNS
        given = {"instructions": "x" * 100_000, "tools": tools()}
        text = len(json.dumps(given))
        before = database_bytes(directory)
        large = await client.made("/v1/assistants", {"model": "rehearsal", **given})
        await run_many(client, LARGE_RUNS, large)
        inherited = (database_bytes(directory) - before) / LARGE_RUNS
        before = database_bytes(directory)
        own = 0
        for number in range(LARGE_RUNS):  # each brings others
            mine = {"instructions": f"{number} " + "x" * 250_000, "tools": tools(number)[:20]}
            own += len(json.dumps(mine))
            await run_many(client, 1, short, **mine)
        return small, inherited / text, (database_bytes(directory) - before) / own


def rows(*, show_tables: bool = False) -> list[Row]:
    """With a server of its own."""
    with tempfile.TemporaryDirectory(dir=ROOT) as held:
        directory = Path(held)
        server = Served(held, {})
        try:
            small, inherited, given = asyncio.run(measured(directory))
            if show_tables:
                for name, size in by_table(directory).items():
                    print(f"{size:>12,} {name}")
        finally:
            server.process.terminate()
            server.process.wait()
    demand = f"<= {LARGE_DEMAND} x"
    what = "database of a run with 300 KB of instructions and tools"
    return [
        ("database of a short run", f"{small / 1000:.1f} KB", f"<= {SHORT_DEMAND} KB", small <= SHORT_DEMAND * 1000),
        (f"{what}, inherited, by its text", f"{inherited:.2f} x", demand, inherited <= LARGE_DEMAND),
        (f"{what}, its own, by its text", f"{given:.2f} x", demand, given <= LARGE_DEMAND),
    ]


if __name__ == "__main__":
    for what, shown, demanded, met in rows(show_tables="tables" in sys.argv[1:]):
        print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")
