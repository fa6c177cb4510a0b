"""The kernel gateway: what is ours to bound holds there too."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.sandbox.support import ONE, TWO, limits, pieces, told
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.remote.backend import RemoteBackend
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.engine.ports.sandbox import Ended, EndReason, FileRefused, SessionLossReason, Started


@asynccontextmanager
async def kernels(gateway: str, wall: float) -> AsyncGenerator[SessionPool, None]:
    sessions = SessionPool(await RemoteBackend.connect(gateway, "t0ken", limits(wall=wall)), PoolLimits(), FakeClock())
    try:
        yield sessions
    finally:
        await sessions.close()


async def test_an_endless_loop_is_interrupted(gateway: str) -> None:
    async with kernels(gateway, 2) as sandbox:
        await told(sandbox, "x = 1")
        found = await told(sandbox, "while True: pass")
        assert found.ended == Ended(EndReason.TIMED_OUT, "The code ran longer than 2 seconds and was stopped.")
        assert (await told(sandbox, "x")).logs == "1\n"


async def test_an_endless_loop_that_does_not_listen_ends_the_kernel(gateway: str) -> None:
    async with kernels(gateway, 2) as sandbox:
        await sandbox.start(ONE)
        code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
        found = await told(sandbox, code)
        assert (found.ended.reason, found.ended.state_kept) == (EndReason.TIMED_OUT, False)
        assert await sandbox.start(ONE) == Started(is_new=True, lost=SessionLossReason.KILLED)
        assert (await told(sandbox, "1")).logs == "1\n"


async def test_100_mb_of_output(gateway: str) -> None:
    async with kernels(gateway, 60) as sandbox:
        await told(sandbox, "x = 2", TWO)
        found = await told(sandbox, "for _ in range(100): print('x' * 1_000_000)\nprint('end')")
        assert len(found.logs) < 10_200
        assert found.ended == Ended(
            EndReason.COMPLETED
        )  # the gateway itself leaves out what comes too fast, and says so
        assert (await told(sandbox, "1")).logs == "1\n"
        assert (await told(sandbox, "x", TWO)).logs == "2\n"


async def test_memory_and_disk_that_are_full_are_told(gateway: str) -> None:
    async with kernels(gateway, 20) as sandbox:
        assert (await told(sandbox, "raise MemoryError")).ended.reason is EndReason.OUT_OF_MEMORY
        assert (await told(sandbox, "raise OSError(28, 'No space left on device')")).ended.reason is EndReason.DISK_FULL
        found = await told(sandbox, "raise BlockingIOError(11, 'Resource temporarily unavailable')")
        assert found.ended.reason is EndReason.TOO_MANY_PROCESSES


async def test_two_kernels_have_directories_of_their_own(gateway: str) -> None:
    async with kernels(gateway, 20) as sandbox:
        await sandbox.put(ONE, "in/a.txt", pieces(b"one"))
        await sandbox.put(TWO, "in/a.txt", pieces(b"two"))
        code = "import os\nprint(open('/mnt/data/in/a.txt').read(), os.getcwd(), os.listdir('/mnt/data/in'))"
        assert (await told(sandbox, code)).logs == "one /mnt/data ['a.txt']\n"
        assert (await told(sandbox, code, TWO)).logs == "two /mnt/data ['a.txt']\n"
        with pytest.raises(FileRefused):
            await sandbox.put(ONE, "../a.txt", pieces(b"out"))


async def test_a_kernel_that_goes_while_it_computes_is_an_answer(gateway: str) -> None:
    async with kernels(gateway, 20) as sandbox:
        kernel = int((await told(sandbox, "import os\nos.getpid()")).logs)
        running = sandbox.execute(ONE, "print('on', flush=True)\nwhile True: pass")
        await anext(running)
        os.kill(kernel, signal.SIGKILL)
        async with asyncio.timeout(15):
            *_, ended = [output async for output in running]
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.state_kept) == (EndReason.KILLED, False)
        assert (await told(sandbox, "1")).logs == "1\n"
