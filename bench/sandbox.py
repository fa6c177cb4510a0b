"""Measures of code_interpreter's sandbox: the bubblewrap back end behind its port, no server. `python -m bench.sandbox`."""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.factory import SandboxSettings, bwrap_backend
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.adapters.system.clock import SystemClock
from threadmill.domain.ids import ThreadId
from threadmill.engine.ports.sandbox import Ended, EndReason, SandboxUnavailable
from threadmill.settings import load

Row = tuple[str, str, str, bool]
ONE = ThreadId("thread_one")
PANDAS = "import pandas as pd\nint(pd.Series([1, 2]).sum())"
STARTS = "import subprocess\nfor _ in range(400):\n    subprocess.Popen(['sleep', '60'])"
FORKS = "import os, signal\nfor _ in range(400):\n    if os.fork() == 0:\n        signal.pause()"
BUSY = "for _ in range(2_000_000): pass"


async def run(sessions: SessionPool, code: str, thread: ThreadId = ONE) -> float:
    """Seconds until it has ended well."""
    began = time.perf_counter()
    async for output in sessions.execute(thread, code):
        assert not isinstance(output, Ended) or output.reason is EndReason.COMPLETED, output
    return time.perf_counter() - began


def threads(count: int) -> list[ThreadId]:
    """So many."""
    return [ThreadId(f"thread_{number}") for number in range(count)]


@asynccontextmanager
async def opened(**bounds: int) -> AsyncGenerator[tuple[SessionPool, BwrapBackend], None]:
    """A sandbox with nothing in it."""
    settings = SandboxSettings.of(load())
    backend = bwrap_backend(replace(settings, limits=replace(settings.limits, **bounds)))
    sessions = SessionPool(backend, PoolLimits(), SystemClock())
    try:
        yield sessions, backend
    finally:
        await sessions.close()


async def cold() -> float:
    """Nothing runs; until the first result with pandas."""
    async with opened() as (sessions, _):
        return await run(sessions, PANDAS)


async def warm(sessions: SessionPool) -> list[float]:
    """Until a session stands, one after the other."""
    found: list[float] = []
    for thread in threads(40):
        began = time.perf_counter()
        await sessions.start(thread)
        found.append(time.perf_counter() - began)
        await sessions.close(thread)
    return found


def memory(top: int) -> int:
    """Bytes of a process and all below it, shared pages divided among their users."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {top}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(pss(pid) for pid in family)


def pss(pid: int) -> int:
    """Needs root: sessions hide from everybody else."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


async def idle(sessions: SessionPool, backend: BwrapBackend) -> float:
    """Megabytes of a session that has used pandas and waits, beyond what the sandbox itself takes."""
    zygote = (await backend.zygote()).process.pid
    before = memory(zygote)
    for thread in threads(20):
        await run(sessions, PANDAS, thread)
    after = memory(zygote)
    for thread in threads(20):
        await sessions.close(thread)
    return (after - before) / 20 / (1 << 20)


async def kill(code: str) -> float:
    """Milliseconds to end a session with 400 processes and to see the last of them gone."""
    async with opened(processes=450) as (sessions, _):
        await run(sessions, "1")
        await asyncio.sleep(
            3
        )  # the zygote loads more libraries when it has nothing to do, and answers nobody meanwhile
        await run(sessions, code)
        began = time.perf_counter()
        await sessions.close(ONE)
        return (time.perf_counter() - began) * 1e3


async def fifty(sessions: SessionPool) -> tuple[float, float]:
    """50 threads compute at once, each with a session of its own: seconds of all, and the last by the median."""
    began = time.perf_counter()

    async def one(thread: ThreadId) -> float:
        await run(sessions, BUSY, thread)
        return time.perf_counter() - began

    ends = await asyncio.gather(*(one(thread) for thread in threads(50)))
    return max(ends), max(ends) / statistics.median(ends)


async def crowd(sessions: SessionPool) -> float:
    """Seconds until 150 threads, more than there are places, have each run one cell of 50 ms."""
    await run(sessions, "1")
    await asyncio.sleep(3)  # as above
    began = time.perf_counter()
    await asyncio.gather(*(run(sessions, "import time; time.sleep(0.05)", thread) for thread in threads(150)))
    return time.perf_counter() - began


def row(name: str, value: float, shown: str, demand: float, unit: str) -> Row:
    """A row of the table."""
    return f"code_interpreter: {name}", shown, f"<= {demand:g} {unit}", value <= demand


async def speed_rows() -> AsyncGenerator[Row, None]:
    """How long things take. Raises SandboxUnavailable."""
    colds = statistics.median([await cold() for _ in range(3)])
    async with opened() as (sessions, _):
        starts = statistics.median(await warm(sessions)) * 1e3
        await run(sessions, "1")
        calls = statistics.median([await run(sessions, "1") for _ in range(300)]) * 1e3
    yield row("session start, warm, p50", starts, f"{starts:.1f} ms", 50, "ms")
    yield row("cold start: nothing runs, to the first result with pandas", colds, f"{colds:.2f} s", 1.5, "s")
    yield row("overhead of a call, p50", calls, f"{calls:.2f} ms", 2, "ms")
    killed, forked = [statistics.median([await kill(code) for _ in range(3)]) for code in (STARTS, FORKS)]
    shown = f"{killed:.0f} ms (400 forks of the interpreter with all its libraries: {forked:.0f} ms)"
    yield row("end of a session with 400 programs running", killed, shown, 100, "ms")


async def crowd_rows() -> AsyncGenerator[Row, None]:
    """What many sessions take from each other and from the machine."""
    async with opened() as (sessions, backend):
        took, unfair = await fifty(sessions)
        yield row("50 sessions compute at once, last against median", unfair, f"{unfair:.2f} x ({took:.1f} s)", 2, "x")
    async with opened() as (sessions, backend):
        took = await crowd(sessions)
        yield row("150 threads at once, a cell of 50 ms each, the last", took, f"{took:.1f} s", 5, "s")
    async with opened() as (sessions, backend):
        try:
            size = await idle(sessions, backend)
        except PermissionError:
            size = float("inf")  # sessions hide from everybody but root
        yield row("memory of an idle session that has used pandas", size, f"{size:.1f} MB", 15, "MB")


async def rows() -> list[Row]:
    """All of them, or one that says why there are none."""
    try:
        return [found for part in (speed_rows(), crowd_rows()) async for found in part]
    except SandboxUnavailable as refused:
        return [("code_interpreter", f"not measured: {refused.message}", "", False)]


if __name__ == "__main__":
    for found in asyncio.run(rows()):
        print(*found, sep=" | ")
