"""`make soak MINUTES=2`: clients on the official SDK do everything at once, against a real server with leases of 3 s.

Only what a race explains may be refused; no run fails, none stays active, memory and descriptors come back.
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI, OpenAIError

from tests.soak.actions import ACTIONS, Action, tidy
from tests.soak.crowd import Crowd, Fault

CLIENTS = 24
MORE_DESCRIPTORS, MORE_MEGABYTES = 16, 96
"""What a server may hold more than after its first round, once all is tidied up."""


@dataclass(frozen=True)
class Held:
    """What the server's process holds."""

    descriptors: int
    megabytes: int

    @staticmethod
    def by(pid: int) -> "Held":
        """Read it off /proc."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        kilobytes = int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
        return Held(len(list(Path(f"/proc/{pid}/fd").iterdir())), kilobytes // 1024)


@asynccontextmanager
async def served(directory: Path) -> AsyncGenerator[tuple[int, str], None]:
    """A real server: its process id and base URL. What it logs is passed on."""
    command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", str(directory)]
    env = {"THREADMILL_LEASE_SECONDS": "3", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+/v1", (await process.stdout.readline()).decode())
        assert found is not None, "the server did not start"
        yield process.pid, found[0]
        if process.returncode is not None:
            raise Fault(f"the server ended with {process.returncode}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def prepare(crowd: Crowd) -> None:
    """Make what is everybody's."""
    async with crowd.client() as client:
        crowd.store = (await client.vector_stores.create(name="soak")).id
        assistant = await client.beta.assistants.create(
            model="rehearsal",
            tools=[
                {"type": "function", "function": {"name": "look"}},
                {"type": "code_interpreter"},
                {"type": "file_search"},
            ],
        )
        crowd.assistant = assistant.id


async def attempt(crowd: Crowd, client: AsyncOpenAI, name: str, action: Action) -> None:
    """One action, counted."""
    try:
        async with asyncio.timeout(90):
            await action(crowd, client)
    except (OpenAIError, Fault, TimeoutError, OSError) as error:
        crowd.faults.append(f"{name}: {type(error).__name__}: {error}")
    else:
        crowd.done[name] += 1


async def first_round(crowd: Crowd) -> None:
    """Each action once by each client: what the first time costs is paid."""

    async def client() -> None:
        async with crowd.client() as one:
            for name, action in crowd.rng.sample(sorted(ACTIONS.items()), len(ACTIONS)):
                await attempt(crowd, one, name, action)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def round_by_round(crowd: Crowd, until: float) -> None:
    """Everybody does whatever comes to their mind."""

    async def client() -> None:
        async with crowd.client() as one:
            while time.monotonic() < until and len(crowd.faults) < 20:
                name, action = crowd.rng.choice(sorted(ACTIONS.items()))
                await attempt(crowd, one, name, action)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def tidied(crowd: Crowd) -> None:
    """Look through every thread that is left, and delete it with the files."""
    async with crowd.client() as client:
        while crowd.threads:
            await attempt(crowd, client, "tidy", tidy)
        for file in crowd.files:
            await client.files.delete(file)
        crowd.files.clear()


async def come_back(crowd: Crowd, pid: int, before: Held) -> Held:
    """What the server holds, as soon as it is no more than it may be, or after 30 s; asking passes the time."""
    until = time.monotonic() + 30
    async with crowd.client() as client:
        while True:
            held = Held.by(pid)
            within = held.descriptors <= before.descriptors + MORE_DESCRIPTORS
            if (within and held.megabytes <= before.megabytes + MORE_MEGABYTES) or time.monotonic() > until:
                return held
            await client.models.list()


async def progress(crowd: Crowd, pid: int, every: float = 10.0) -> None:
    """Tell how it goes until cancelled."""
    began = time.monotonic()
    while True:
        try:
            async with asyncio.timeout(every):
                await asyncio.Event().wait()
        except TimeoutError:
            held = Held.by(pid)
            print(
                f"{time.monotonic() - began:5.0f} s  {sum(crowd.done.values())} actions, {crowd.streams} streams, "
                f"{len(crowd.faults)} faults; {held.descriptors} descriptors, {held.megabytes} MB",
                flush=True,
            )


async def soak(seconds: float, seed: int) -> tuple[Crowd, Held, Held]:
    """Run it: what was seen, and what the server held after the first round and in the end."""
    with tempfile.TemporaryDirectory() as directory:
        async with served(Path(directory)) as (pid, base):
            crowd = Crowd(base, random.Random(seed))
            await prepare(crowd)
            telling = asyncio.create_task(progress(crowd, pid))
            try:
                await first_round(crowd)
                await tidied(crowd)
                before = Held.by(pid)
                await round_by_round(crowd, time.monotonic() + seconds)
                await tidied(crowd)
                return crowd, before, await come_back(crowd, pid, before)
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)


def problems(crowd: Crowd, before: Held, after: Held) -> list[str]:
    """What is not as it should be, in words."""
    found = list(crowd.faults)
    if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
        found.append(f"descriptors did not come back: {before.descriptors}, then {after.descriptors}")
    if after.megabytes > before.megabytes + MORE_MEGABYTES:
        found.append(f"memory did not come back: {before.megabytes} MB, then {after.megabytes} MB")
    return found


def table(crowd: Crowd, before: Held, after: Held) -> str:
    """The closing table."""
    rows = [(name, crowd.done[name]) for name in ACTIONS]
    rows += [(f"explained: {name}", count) for name, count in sorted(crowd.refused.items())]
    rows += [("streams", crowd.streams), ("faults", len(crowd.faults))]
    rows += [("descriptors before", before.descriptors), ("descriptors after", after.descriptors)]
    rows += [("MB before", before.megabytes), ("MB after", after.megabytes)]
    return "\n".join(f"{name:<32}{count:>8}" for name, count in rows)


def main() -> None:
    """The command."""
    warnings.filterwarnings("ignore", "deprecated", DeprecationWarning)  # the very API we serve
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    seen = asyncio.run(soak(given.minutes * 60, given.seed))
    print(table(*seen))
    found = problems(*seen)
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
