"""Who has a session and who makes room, over a back end whose sessions do what the test says."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.backend import MemoryUse
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.domain.ids import RunId, ThreadId
from threadmill.engine.ports.sandbox import (
    Ended,
    EndReason,
    FileRefused,
    FileWritten,
    Output,
    SandboxUnavailable,
    SessionLossReason,
    Started,
)

EVICTED = Started(is_new=True, lost=SessionLossReason.EVICTED)
MB = 1 << 20


class Session:
    """Each line of the code is an output: `use N` megabytes; `file N` megabytes; `wait` until it is closed."""

    def __init__(self) -> None:
        self.alive = True
        self.gets = 0
        self._ended = asyncio.Event()

    async def execute(self, code: str) -> AsyncGenerator[Output | MemoryUse, None]:
        for line in code.splitlines():
            if line == "wait":
                await self._ended.wait()
            elif line.startswith("file "):
                yield FileWritten(line, int(line.removeprefix("file ")) * MB)
            else:
                yield MemoryUse(int(line.removeprefix("use ")) * MB)
        yield Ended(EndReason.COMPLETED) if self.alive else Ended(EndReason.KILLED, "gone", state_kept=False)

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        del path
        async for _ in content:
            pass

    async def get(self, path: str) -> AsyncGenerator[bytes, None]:
        self.gets += 1
        yield path.encode()

    async def interrupt(self) -> None:
        self._ended.set()

    async def close(self) -> None:
        self.alive = False
        self._ended.set()


class Sessions:
    """A back end that remembers what it opened. While `broken`, it opens none."""

    unavailable_reason: str | None = None

    def __init__(self) -> None:
        self.opened: list[Session] = []
        self.broken = False

    async def open(self) -> Session:
        if self.broken:
            raise SandboxUnavailable("broken")
        self.opened.append(Session())
        return self.opened[-1]

    async def close(self) -> None:
        """Nothing of its own."""

    @property
    def living(self) -> int:
        return sum(session.alive for session in self.opened)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def backend() -> Sessions:
    return Sessions()


def pool_of(backend: Sessions, clock: FakeClock, most: int = 2, memory: int = 1000) -> SessionPool:
    return SessionPool(backend, PoolLimits(max_sessions=most, memory=memory * MB), clock)


def thread(number: int) -> ThreadId:
    return ThreadId(f"thread_{number}")


def run(number: int) -> RunId:
    return RunId(f"run_{number}")


async def ended(pool: SessionPool, number: int, code: str = "") -> Ended:
    *_, last = [output async for output in pool.execute(thread(number), code)]
    assert isinstance(last, Ended)
    return last


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)  # lint: allow tests_do_not_sleep because nothing is waited for but the loop's next turn


async def test_a_crowd_gets_through_without_the_clock_moving(backend: Sessions, clock: FakeClock) -> None:
    pool = pool_of(backend, clock, most=8)

    async def one(number: int) -> None:
        await pool.start(thread(number), run(number))
        assert (await ended(pool, number)).reason is EndReason.COMPLETED
        assert backend.living <= 8
        pool.release(thread(number), run(number))

    async with asyncio.timeout(10):
        await asyncio.gather(*(one(number) for number in range(150)))
    assert clock.ticks == 0


async def test_a_run_keeps_its_session_between_its_calls_and_others_wait_oldest_first(
    backend: Sessions, clock: FakeClock
) -> None:
    pool = pool_of(backend, clock)
    for number in (1, 2):
        await pool.start(thread(number), run(number))
        await ended(pool, number)
    came: list[int] = []

    async def late(number: int) -> None:
        await pool.start(thread(number), run(number))
        came.append(number)

    waiting = [asyncio.create_task(late(number)) for number in (3, 4, 5)]
    await settle()
    clock.ticks += 300
    assert await pool.expire() == 0
    assert (await pool.start(thread(1), run(1)), came) == (Started(is_new=False), [])
    waiting[1].cancel()
    pool.release(thread(1), run(1))
    await settle()
    pool.release(thread(2), run(2))
    await settle()
    assert came == [3, 5]
    pool.release(thread(5), run(9))  # not the run that keeps it
    pool.release(thread(3), run(3))
    assert await pool.start(thread(1)) == EVICTED
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_session_is_kept_for_a_run_that_waits_for_its_client_for_a_while(
    backend: Sessions, clock: FakeClock
) -> None:
    pool = pool_of(backend, clock, most=1)
    await pool.start(thread(1), run(1))
    pool.release(thread(1), run(1), seconds=60)
    other = asyncio.create_task(pool.start(thread(2), run(2)))
    await settle()
    assert not other.done()
    clock.ticks += 60
    await pool.expire()
    assert await other == Started(is_new=True)


async def test_a_session_without_others_waiting_stays(backend: Sessions, clock: FakeClock) -> None:
    pool = pool_of(backend, clock)
    await pool.start(thread(1), run(1))
    pool.release(thread(1), run(1))
    await pool.start(thread(2), run(2))
    assert await pool.start(thread(1), run(3)) == Started(is_new=False)


async def test_a_back_end_that_refuses_gives_its_place_back(backend: Sessions, clock: FakeClock) -> None:
    pool = pool_of(backend, clock, most=1)
    backend.broken = True
    for _ in range(3):
        with pytest.raises(SandboxUnavailable, match="broken"):
            await pool.start(thread(1))
    backend.broken = False
    assert await pool.start(thread(1)) == Started(is_new=True)


async def test_who_gives_up_in_the_moment_a_place_comes_free_takes_none(backend: Sessions, clock: FakeClock) -> None:
    pool = pool_of(backend, clock, most=1)
    await pool.start(thread(1), run(1))
    waiting = [asyncio.create_task(pool.start(thread(number))) for number in (2, 3)]
    await settle()
    waiting[0].cancel()
    backend.opened[0].alive = False
    assert await pool.expire() == 1
    assert await waiting[1] == Started(is_new=True)
    assert (waiting[0].cancelled(), backend.living) == (True, 1)


async def test_who_waits_when_the_sandbox_is_closed_is_told(backend: Sessions, clock: FakeClock) -> None:
    pool = pool_of(backend, clock, most=1)
    await pool.start(thread(1), run(1))
    waiting = asyncio.create_task(pool.start(thread(2)))
    await settle()
    await pool.close()
    with pytest.raises(SandboxUnavailable, match="shutting down"):
        await waiting
    assert backend.living == 0


async def test_a_new_session_waits_until_all_use_less_memory_than_they_may(backend: Sessions, clock: FakeClock) -> None:
    pool = pool_of(backend, clock, most=9)
    await pool.start(thread(1), run(1))
    await ended(pool, 1, "use 1000")
    waiting = asyncio.create_task(pool.start(thread(2)))
    await settle()
    assert not waiting.done()
    await ended(pool, 1, "use 900")
    assert await waiting == Started(is_new=True)


async def test_what_is_put_counts_as_memory(backend: Sessions, clock: FakeClock) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield bytes(MB)

    pool = pool_of(backend, clock, memory=1)
    await pool.put(thread(1), "a", content())
    assert await pool.start(thread(2)) == Started(is_new=True)
    assert await pool.start(thread(1)) == EVICTED


async def test_beyond_the_memory_of_all_the_idle_go_first_and_then_the_largest_that_computes(
    backend: Sessions, clock: FakeClock
) -> None:
    pool = pool_of(backend, clock, most=9)
    await ended(pool, 1, "use 300")
    await pool.start(thread(2), run(2))
    await ended(pool, 2, "use 400")
    small = asyncio.create_task(ended(pool, 3, "use 50\nwait"))
    await settle()
    large = asyncio.create_task(ended(pool, 4, "use 550\nuse 600\nwait"))
    found = await large
    assert (found.reason, found.state_kept) == (EndReason.OUT_OF_MEMORY, False)
    assert "more memory than they may (1000 MB)" in str(found.message)
    assert not small.done()
    await pool.close(thread(3))
    await small
    assert await pool.start(thread(1)) == EVICTED
    assert await pool.start(thread(2), run(2)) == Started(is_new=False)


async def test_a_file_that_is_larger_than_may_come_out_is_not_even_begun(backend: Sessions, clock: FakeClock) -> None:
    pool = SessionPool(backend, PoolLimits(call_output=3 * MB), clock)
    await ended(pool, 1, "file 4\nfile 2")
    (session,) = backend.opened
    with pytest.raises(FileRefused, match="larger than it may be"):
        _ = [piece async for piece in pool.get(thread(1), "file 4")]
    assert session.gets == 0
    assert [piece async for piece in pool.get(thread(1), "file 2")] == [b"file 2"]
    assert session.gets == 1
    await pool.close()
