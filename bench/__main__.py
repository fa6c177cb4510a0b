"""One interleaved run of all measures; prints ratios and writes docs/benchmarks.md. Servers get one core, the load the other.

`python -m bench memory loop` measures some of PARTS and writes nothing.
"""

import asyncio
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bench import contention, growth, ingest, load, loop, memory, sandbox, search, upload
from bench.load import Rest, p50

ROOT = Path(__file__).parent.parent
PORTS = {"upstream": 18101, "raw": 18102, "naive": 18103, "threadmill": 18104, "asgi": 18105, "peer": 18106}
PEER = ROOT / ".venv-peer" / "bin" / "python"
DELTA = b"event: thread.message.delta"
ROUNDS = 3


class Process:
    """A server in a process of its own, pinned to a core."""

    def __init__(self, name: str, command: list[str], core: int, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}, cwd=ROOT
        )
        os.sched_setaffinity(self.process.pid, {core})
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def cpu(self) -> float:
        """Seconds of CPU of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def ready(port: int) -> None:
    """Return when somebody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


class Bench:
    """The servers, and a thread and an assistant for each stream."""

    def __init__(self, directory: str) -> None:
        cores = sorted(os.sched_getaffinity(0))
        server, other = cores[0], cores[-1]
        os.sched_setaffinity(0, {other})
        python, upstream = sys.executable, str(PORTS["upstream"])
        env = {"THREADMILL_UPSTREAM_URL": f"http://127.0.0.1:{upstream}/v1"}
        serve = [python, "-m", "threadmill", "serve", "--port", str(PORTS["threadmill"]), "--data-dir", directory]
        self.processes = {
            "upstream": Process("upstream", [python, "-m", "bench.upstream", upstream], other),
            "raw": Process("raw", [python, "-m", "bench.raw", str(PORTS["raw"]), upstream], server),
            "naive": Process("naive", [python, "-m", "bench.naive", str(PORTS["naive"]), upstream], server),
            "asgi": Process("asgi", [python, "-m", "bench.raw", str(PORTS["asgi"]), "asgi"], server),
            "threadmill": Process("threadmill", serve, server, env),
        }
        self.assistant = ""
        self._server_core = server

    def start_peer(self) -> Process:
        """llamphouse, on the servers' core."""
        command = [str(PEER), "-m", "bench.peer", str(PORTS["peer"]), str(PORTS["upstream"])]
        return Process("peer", command, self._server_core)

    def stop(self) -> None:
        for process in self.processes.values():
            process.stop()

    async def prepare(self) -> None:
        await asyncio.gather(*(ready(port) for name, port in PORTS.items() if name != "peer"))
        async with Rest(PORTS["threadmill"]) as api:
            self.assistant = (await api.json("POST", "/v1/assistants", {"model": "burst-1", "instructions": "x"}))["id"]

    async def threads(self, count: int) -> list[str]:
        async with Rest(PORTS["threadmill"]) as api:
            return [(await api.json("POST", "/v1/threads", {}))["id"] for _ in range(count)]

    async def streams(
        self, stack: str, model: str, count: int, *, stamped: bool = False
    ) -> tuple[list[load.Stream], float, float]:
        """`count` streams at once: what they showed, wall seconds, CPU seconds of the server."""
        if stack == "threadmill":
            body = {"assistant_id": self.assistant, "model": model, "stream": True}
            targets = [(f"/v1/threads/{thread}/runs", body, DELTA) for thread in await self.threads(count)]
        elif stack == "naive":
            targets = [("/runs", {"model": model}, DELTA)] * count
        else:
            targets = [("/v1/chat/completions", {"model": model}, b'"content":')] * count
        name = {"direct": "upstream", "passed": "threadmill"}.get(stack, stack)
        port, cpu = PORTS[name], self.processes.get(name)
        before, began = cpu.cpu() if cpu else 0.0, time.perf_counter()
        seen = await asyncio.gather(*(load.stream(port, path, body, mark, stamped) for path, body, mark in targets))
        return list(seen), time.perf_counter() - began, (cpu.cpu() if cpu else 0.0) - before


Row = tuple[str, str, str, bool]
Rounds = Callable[..., Coroutine[Any, Any, list[dict[str, float]]]]


def median_of(samples: list[dict[str, float]]) -> dict[str, float]:
    return {key: p50([sample[key] for sample in samples]) for key in samples[0]}


async def burst(bench: Bench, stack: str) -> dict[str, float]:
    """Deltas a second and CPU microseconds a delta, 16 streams as fast as they go."""
    chunks = {"naive": 400, "raw": 60_000}.get(stack, 10_000)
    seen, wall, cpu = await bench.streams(stack, f"burst-{chunks}", 16)
    deltas = sum(one.events for one in seen)
    assert deltas == chunks * 16, (stack, deltas)
    return {"rate": deltas / wall, "cpu_us": cpu / deltas * 1e6}


async def paced(bench: Bench, stack: str) -> dict[str, float]:
    """CPU microseconds a delta and delay, 32 streams with a delta each 10 ms."""
    seen, _, cpu = await bench.streams(stack, "paced-200-10", 32, stamped=True)
    deltas = sum(one.events for one in seen)
    return {"cpu_us": cpu / deltas * 1e6, "delay_ms": p50([delay for one in seen for delay in one.delays])}


async def first_token(bench: Bench, stack: str) -> dict[str, float]:
    """Milliseconds to the first delta, one stream at a time."""
    firsts: list[float] = []
    for _ in range(40):
        seen, _, _ = await bench.streams(stack, "burst-20", 1)
        firsts.append(seen[0].first * 1000)
    return {"first_ms": p50(firsts)}


async def whole_runs(bench: Bench, clients: int, stack: str = "threadmill") -> dict[str, float]:
    """Streamed runs of 20 chunks a second, each client on its own thread."""
    total = 40 if clients == 1 else 10 * clients
    if stack == "peer":
        # It fails after 1,000 runs: a new process for each measure.
        process = bench.start_peer()
        await ready(PORTS["peer"])
        async with Rest(PORTS["peer"]) as api:
            threads = [(await api.json("POST", "/threads", {}))["id"] for _ in range(clients)]
        path, body = "/threads/{}/runs", {"assistant_id": "bench", "stream": True}
    else:
        process, threads, path = None, await bench.threads(clients), "/v1/threads/{}/runs"
        body = {"assistant_id": bench.assistant, "model": "burst-20", "stream": True}

    async def client(thread: str) -> None:
        for _ in range(total // clients):
            seen = await load.stream(PORTS[stack], path.format(thread), body, b"event: done")
            assert seen.events == 1, f"{stack} gave a stream without its end"

    await client(threads[0])
    began = time.perf_counter()
    await asyncio.gather(*(client(thread) for thread in threads))
    took = time.perf_counter() - began
    if process is not None:
        process.stop()
    return {"runs_s": total / took}


async def create(bench: Bench) -> dict[str, float]:
    """Thread + message + run over HTTP, against the same three inserts in raw SQLite, both durable."""
    times: list[float] = []
    async with Rest(PORTS["threadmill"]) as api:
        for _ in range(60):
            began = time.perf_counter()
            body = {"assistant_id": bench.assistant, "thread": {"messages": [{"role": "user", "content": "hi"}]}}
            await api.raw("POST", "/v1/threads/runs", body)
            times.append((time.perf_counter() - began) * 1000)
    return {"http_ms": p50(times), "raw_ms": raw_inserts(60)}


def raw_inserts(count: int) -> float:
    """Milliseconds of one durable transaction of three inserts, p50."""
    with tempfile.TemporaryDirectory(dir=ROOT) as directory:
        database = sqlite3.connect(Path(directory) / "raw.db", isolation_level=None)
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        for table in ("threads", "messages", "runs"):
            database.execute(f"CREATE TABLE {table} (ord INTEGER PRIMARY KEY, id TEXT UNIQUE, data BLOB)")
        times: list[float] = []
        for number in range(count):
            began = time.perf_counter()
            database.execute("BEGIN IMMEDIATE")
            for table in ("threads", "messages", "runs"):
                database.execute(f"INSERT INTO {table} (id, data) VALUES (?, ?)", (f"id{number}", b"x" * 800))
            database.execute("COMMIT")
            times.append((time.perf_counter() - began) * 1000)
        database.close()
    return p50(times)


async def get_run(bench: Bench) -> dict[str, float]:
    """CPU microseconds of GET run, and of a bare ASGI app that returns as many bytes."""
    async with Rest(PORTS["threadmill"]) as api:
        body = {"assistant_id": bench.assistant, "model": "burst-1"}
        run = await api.json("POST", "/v1/threads/runs", body)
        path = f"/v1/threads/{run['thread_id']}/runs/{run['id']}"
        ours = await cpu_of(bench, "threadmill", path)
    return {"ours_us": ours, "asgi_us": await cpu_of(bench, "asgi", "/")}


async def cpu_of(bench: Bench, stack: str, path: str) -> float:
    """CPU microseconds of one GET over kept-alive connections."""
    process, count = bench.processes[stack], 300

    async def client() -> None:
        async with Rest(PORTS[stack]) as api:
            for _ in range(count):
                await api.raw("GET", path)

    await client()
    before = process.cpu()
    await asyncio.gather(*(client() for _ in range(8)))
    return (process.cpu() - before) / (8 * count) * 1e6


async def measure(bench: Bench) -> list[Row]:
    """All rows: measure, result, demand, met."""
    await bench.prepare()

    async def rounds(*parts: Callable[[], Coroutine[Any, Any, dict[str, float]]]) -> list[dict[str, float]]:
        samples: list[list[dict[str, float]]] = [[] for _ in parts]
        for _ in range(ROUNDS):  # interleaved: a noisy neighbour hurts all alike
            for index, part in enumerate(parts):
                samples[index].append(await part())
        return [median_of(one) for one in samples]

    ours, raw, naive = await rounds(*(lambda s=s: burst(bench, s) for s in ("threadmill", "raw", "naive")))
    rows = [
        row(
            "burst deltas/s, 16 streams, against the naive stack",
            ours["rate"] / naive["rate"],
            "x",
            60,
            least=True,
            note=f"{ours['rate']:,.0f}/s against {naive['rate']:,.0f}/s",
        ),
        row("the same, CPU per delta", ours["cpu_us"], "µs", 9),
        row("the same, share of a raw byte pass-through", ours["rate"] / raw["rate"] * 100, "%", 3, least=True),
    ]
    stacks = ("threadmill", "raw", "direct", "passed")
    ours, raw, direct, passed = await rounds(*(lambda s=s: paced(bench, s) for s in stacks))
    rows += [
        row(
            "paced (32 streams x 10 ms), CPU per delta against raw",
            ours["cpu_us"] / raw["cpu_us"],
            "x",
            4,
            note=f"{ours['cpu_us']:.0f} µs against {raw['cpu_us']:.0f} µs",
        ),
        row("added delay per delta, p50, paced", ours["delay_ms"] - direct["delay_ms"], "ms", 0.25),
        row(
            "chat completions passed on, the same load, CPU per delta against raw",
            passed["cpu_us"] / raw["cpu_us"],
            "x",
            2,
            note=f"{passed['cpu_us']:.0f} µs against {raw['cpu_us']:.0f} µs",
        ),
        row(
            "the same, delay per delta added to that of raw, p50",
            passed["delay_ms"] - raw["delay_ms"],
            "ms",
            0.2,
            note=f"{passed['delay_ms']:.2f} ms against {raw['delay_ms']:.2f} ms",
        ),
    ]
    ours, direct = await rounds(*(lambda s=s: first_token(bench, s) for s in ("threadmill", "direct")))
    rows.append(row("added time to the first token, durable, p50", ours["first_ms"] - direct["first_ms"], "ms", 8))
    rows += await run_rows(bench, rounds)
    (made,) = await rounds(lambda: create(bench))
    rows.append(
        row(
            "create thread + message + run over HTTP, durable, p50",
            made["http_ms"],
            "ms",
            2 * made["raw_ms"] + 3,
            note=f"raw SQLite {made['raw_ms']:.2f} ms",
        )
    )
    (got,) = await rounds(lambda: get_run(bench))
    rows.append(
        row(
            "GET run, CPU share of a bare ASGI app",
            got["asgi_us"] / got["ours_us"] * 100,
            "%",
            25,
            least=True,
            note=f"{got['ours_us']:.0f} µs against {got['asgi_us']:.0f} µs",
        )
    )
    return rows


async def run_rows(bench: Bench, rounds: Rounds) -> list[Row]:
    """Whole runs, ours and, where it is installed, the peer's."""
    counts = (1, 8, 32)
    stacks = ("threadmill", "peer") if PEER.exists() else ("threadmill",)
    found = await rounds(*(lambda n=n, s=s: whole_runs(bench, n, s) for n in counts for s in stacks))
    speeds = [one["runs_s"] for one in found]
    ours, peers = speeds[:: len(stacks)], speeds[1::2] if len(stacks) == 2 else []
    flat = ours[2] / ours[1] >= 0.8
    name = "whole streamed runs/s, 20 chunks, durable, 1 / 8 / 32 clients"
    rows: list[Row] = [(name, " / ".join(f"{speed:.0f}" for speed in ours), "flat from 8 to 32 (>= 0.8)", flat)]
    if not peers:
        return [*rows, ("the same against llamphouse 1.3.0 in memory", "not measured (make peer)", ">= 5 x", False)]
    ratios = [our / peer for our, peer in zip(ours, peers, strict=True)]
    shown = " / ".join(f"{ratio:.1f} x" for ratio in ratios) + f" ({' / '.join(f'{peer:.0f}' for peer in peers)})"
    return [*rows, ("the same against llamphouse 1.3.0 in memory", shown, ">= 5 x", min(ratios) >= 5)]


def row(name: str, value: float, unit: str, demand: float, *, least: bool = False, note: str = "") -> Row:
    """A row of the table."""
    shown = f"{value:.2f} {unit}" + (f" ({note})" if note else "")
    return name, shown, f"{'>=' if least else '<='} {demand:.3g} {unit}", value >= demand if least else value <= demand


def machine() -> str:
    """The machine, in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{len(os.sched_getaffinity(0)) or os.cpu_count()} of {os.cpu_count()} cores, {name}, {platform.system()}, Python {platform.python_version()}"


def served_rows() -> list[Row]:
    """Deltas, runs and requests, against the other stacks."""
    with tempfile.TemporaryDirectory(dir=ROOT) as directory:
        bench = Bench(directory)
        try:
            return asyncio.run(measure(bench))
        finally:
            bench.stop()


PARTS: dict[str, Callable[[], list[Row]]] = {
    "served": served_rows,
    "upload": upload.rows,
    "ingest": ingest.rows,
    "contention": contention.rows,
    "memory": memory.rows,
    "growth": growth.rows,
    "loop": loop.rows,
    "sandbox": lambda: asyncio.run(sandbox.rows()),
    "search": lambda: asyncio.run(search.measure()),
}


def main(parts: list[str]) -> None:
    """Measure and print; all parts together are written down."""
    where = machine()
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    print(f"Measuring: {ROUNDS} interleaved rounds, some minutes; search alone takes five.", flush=True)
    rows = [row for part in parts or PARTS for row in PARTS[part]()]
    lines = [
        "# Benchmarks",
        "",
        f"Made by `make bench`: servers on one core, upstream and load on the other; medians of {ROUNDS} interleaved rounds; search on one core, in process.",
        "",
        f"Commit {done.stdout.strip() or 'unknown'}; {where}.",
        "",
        "| measure | result | demand | met |",
        "|---|---|---|---|",
        *(f"| {name} | {shown} | {demand} | {'yes' if met else '**no**'} |" for name, shown, demand, met in rows),
        "",
    ]
    print("\n".join(lines[4:]))
    if not parts:
        (ROOT / "docs" / "benchmarks.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
