"""Code that takes too much: it is stopped and told so in a line, and the server, the others and the next call are well.

Every bomb here is bounded by itself, so that it does no harm should a wall not hold.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.sandbox.support import ONE, TWO, Told, bwrap_settings, fetched, limits, pieces, told
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.backend import SessionLimits
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.factory import bwrap_backend
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.engine.ports.sandbox import Ended, EndReason, FileRefused, SessionLossReason, Started

DEAF = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('on', flush=True)
while True: pass
"""


async def bounded(bounds: SessionLimits, code: str) -> Told:
    """What comes of the code under these bounds, having seen that the session and its neighbour are well after it."""
    narrow = SessionPool(bwrap_backend(bwrap_settings(bounds)), PoolLimits(), FakeClock())
    try:
        await told(narrow, "x = 1")
        await told(narrow, "x = 2", TWO)
        found = await told(narrow, code)
        async with asyncio.timeout(5):
            assert (await told(narrow, "x", TWO)).logs == "2\n"
            after = await told(narrow, "import subprocess\nsubprocess.run(['true'])\n'x' in dir()")
        assert after.ended == Ended(EndReason.COMPLETED)
        assert after.logs == f"{found.ended.state_kept}\n"
    finally:
        await narrow.close()
    assert found.ended.message is not None
    assert "\n" not in found.ended.message
    return found


FORK_BOMB = """
import os, time
first = os.getpid()
try:
    for _ in range(9):
        os.fork()
    for _ in range(64 if os.getpid() == first else 0):
        if os.fork() == 0:
            break
except BlockingIOError:
    if os.getpid() == first:
        raise
time.sleep(30)
"""
"""Nobody leaves before the first of them was refused a process, however quickly the others are."""


async def test_a_fork_bomb() -> None:
    found = await bounded(limits(wall=5), FORK_BOMB)
    assert found.ended.reason in {EndReason.TOO_MANY_PROCESSES, EndReason.TIMED_OUT}
    assert "64 processes" in str(found.ended.message)


async def test_what_children_print_while_they_are_ended_is_not_the_next_calls(bwrap: SessionPool) -> None:
    noisy = "import os\nif os.fork() == 0:\n    while True: os.write(1, b'noise')\nraise BlockingIOError(11, 'no more')"
    assert (await told(bwrap, noisy)).ended.reason is EndReason.TOO_MANY_PROCESSES
    assert (await told(bwrap, "1")).logs == "1\n"


async def test_too_many_threads() -> None:
    code = "import threading\ne = threading.Event()\nfor _ in range(200):\n    threading.Thread(target=e.wait).start()"
    found = await bounded(limits(wall=5), code)
    assert found.ended.reason is EndReason.TOO_MANY_PROCESSES


async def test_children_that_stay() -> None:
    code = "import subprocess\nfor _ in range(100):\n    subprocess.Popen(['sleep', '30'], start_new_session=True)"
    found = await bounded(limits(wall=5), code)
    assert found.ended.reason is EndReason.TOO_MANY_PROCESSES


async def test_a_memory_bomb() -> None:
    found = await bounded(limits(memory=600 << 20), "rows = [bytes(50_000_000) for _ in range(40)]")
    assert found.ended.reason is EndReason.OUT_OF_MEMORY
    assert "600 MB of memory" in str(found.ended.message)
    assert found.ended.state_kept


async def test_a_memory_bomb_of_several_processes() -> None:
    code = "import os, signal\nfor _ in range(4):\n    if os.fork() == 0:\n        b = b'x' * 200_000_000; signal.pause()\nsignal.pause()"
    found = await bounded(limits(memory=600 << 20), code)
    assert found.ended.reason is EndReason.OUT_OF_MEMORY
    assert not found.ended.state_kept


async def test_an_endless_loop() -> None:
    found = await bounded(limits(wall=1), "print('on')\nwhile True: pass")
    assert found.ended == Ended(EndReason.TIMED_OUT, "The code ran longer than 1 seconds and was stopped.")
    assert found.logs.startswith("on\n")
    assert "KeyboardInterrupt" in found.logs


async def test_an_endless_loop_that_does_not_listen() -> None:
    found = await bounded(limits(wall=1), DEAF)
    assert found.ended.reason is EndReason.TIMED_OUT
    assert not found.ended.state_kept
    assert str(found.ended.message).endswith("All variables are lost.")


async def test_an_endless_loop_in_c() -> None:
    found = await bounded(limits(wall=1), "import re\nre.match('(a+)+$', 'a' * 60 + 'b')")
    assert found.ended.reason is EndReason.TIMED_OUT


async def test_a_full_disk() -> None:
    code = "with open('/mnt/data/big', 'wb') as f:\n    for _ in range(100): f.write(bytes(1_000_000))"
    found = await bounded(limits(), code)
    assert found.ended.reason is EndReason.DISK_FULL
    assert "64 MB of disk" in str(found.ended.message)


async def test_a_full_disk_of_many_files() -> None:
    code = "for n in range(30_000): open(f'/tmp/{n}', 'w').close()"
    assert (await bounded(limits(), code)).ended.reason is EndReason.DISK_FULL


async def test_what_does_not_fit_is_not_put_and_can_be_after_cleaning_up(bwrap: SessionPool) -> None:
    await told(bwrap, "open('/mnt/data/big', 'wb').write(bytes(60_000_000))")
    with pytest.raises(FileRefused, match="the session's disk is full"):
        await bwrap.put(ONE, "more", pieces(*[bytes(1_000_000)] * 20))
    await told(bwrap, "import os\nos.remove('/mnt/data/big')")
    await bwrap.put(ONE, "more", pieces(*[bytes(1_000_000)] * 20))
    assert (await told(bwrap, "os.path.getsize('/mnt/data/more')")).logs == "20000000\n"


async def test_100_mb_of_output(bwrap: SessionPool) -> None:
    found = await told(bwrap, "import sys\nfor _ in range(100): sys.stdout.write('x' * 999_999 + '\\n')\nprint('end')")
    assert found.ended == Ended(EndReason.COMPLETED)
    assert len(found.logs) < 10_200
    assert "bytes of output left out" in found.logs
    assert found.logs.endswith("end\n")


async def test_binary_output(bwrap: SessionPool) -> None:
    found = await told(bwrap, "import os\n_ = os.write(1, bytes(range(256)) * 8 + b'\\n')\nprint('ü')\n7")
    assert found.logs == "[2,049 bytes of binary output left out]\nü\n7\n"


async def test_deep_folders_and_names_that_are_no_text(bwrap: SessionPool) -> None:
    code = "import os\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nos.chdir('/mnt/data')\nopen(b'\\xff.csv', 'w').close()"
    found = await told(bwrap, code)
    assert (found.ended, found.written) == (Ended(EndReason.COMPLETED), [])
    assert (await told(bwrap, "1")).logs == "1\n"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os; os._exit(3)", "ended itself with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
        ("import ctypes; ctypes.string_at(0)", "ended by signal 11"),
        ("import os; os.closerange(0, 100)", "ended"),
    ],
)
async def test_a_dead_interpreter_keeps_its_files(bwrap: SessionPool, code: str, how: str) -> None:
    await bwrap.start(ONE)
    await told(bwrap, "open('/mnt/data/kept', 'w').write('it')")
    found = await told(bwrap, code)
    assert (found.ended.reason, found.ended.state_kept) == (EndReason.KILLED, False)
    assert how in str(found.ended.message)
    assert await bwrap.start(ONE) == Started(is_new=False)
    assert (await told(bwrap, "open('/mnt/data/kept').read()")).logs == "'it'\n"


async def test_variables_lost_while_nobody_listened_are_told_at_the_next_start(bwrap: SessionPool) -> None:
    await bwrap.start(ONE)
    running = bwrap.execute(ONE, f"open('kept', 'w').close()\n{DEAF}")
    await anext(running)
    await running.aclose()
    assert await bwrap.start(ONE) == Started(is_new=False, lost=SessionLossReason.KILLED)
    assert await bwrap.start(ONE) == Started(is_new=False), "told once"
    assert await fetched(bwrap, "kept") == b""


async def test_variables_lost_while_somebody_listened_are_not_told_again(bwrap: SessionPool) -> None:
    await bwrap.start(ONE)
    assert not (await told(bwrap, "import os; os.kill(os.getpid(), 9)")).ended.state_kept
    assert await bwrap.start(ONE) == Started(is_new=False)


async def test_exit_ends_the_cell_and_not_the_session(bwrap: SessionPool) -> None:
    await told(bwrap, "x = 1")
    assert (await told(bwrap, "exit()")).ended == Ended(EndReason.COMPLETED)
    assert (await told(bwrap, "import sys\nsys.exit('no')")).ended == Ended(EndReason.EXCEPTION, "SystemExit: no")
    assert (await told(bwrap, "x")).logs == "1\n"


async def test_when_everything_dies_the_next_call_begins_anew_and_says_so(
    bwrap: SessionPool, backend: BwrapBackend
) -> None:
    await told(bwrap, "x = 1")
    running = bwrap.execute(TWO, "print('on')\nwhile True: pass")
    await anext(running)
    os.kill((await backend.zygote()).process.pid, signal.SIGKILL)
    *_, ended = [output async for output in running]
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.state_kept) == (EndReason.KILLED, False)
    assert await bwrap.start(ONE) == Started(is_new=True, lost=SessionLossReason.KILLED)
    assert "NameError" in (await told(bwrap, "x")).logs


async def test_nothing_runs_between_calls(bwrap: SessionPool, backend: BwrapBackend) -> None:
    code = "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin, daemon=True).start()"
    await told(bwrap, code)
    zygote = (await backend.zygote()).process.pid
    async with asyncio.timeout(5):  # a signal needs a moment to arrive
        while [one["State"] for one in processes_below(zygote) if one["Threads"] == "2"] != ["T (stopped)"]:
            await told(bwrap, "1", TWO)


async def test_closing_leaves_no_process() -> None:
    backend = bwrap_backend(bwrap_settings())
    sessions = SessionPool(backend, PoolLimits(), FakeClock())
    await told(sessions, "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)")
    zygote = (await backend.zygote()).process.pid
    with_session = len(processes_below(zygote))
    await sessions.close(ONE)
    assert len(processes_below(zygote)) == with_session - 3
    await sessions.close()
    assert processes_below(zygote) == []


async def test_the_longest_idle_session_makes_room(backend: BwrapBackend) -> None:
    clock = FakeClock()
    sessions = SessionPool(backend, PoolLimits(max_sessions=1), clock)
    await sessions.start(ONE)
    clock.ticks += 60
    assert await sessions.start(TWO) == Started(is_new=True)
    clock.ticks += 60
    assert await sessions.start(ONE) == Started(is_new=True, lost=SessionLossReason.EVICTED)
    await sessions.close()


async def test_all_sessions_together_are_bounded_by_what_they_really_use(backend: BwrapBackend) -> None:
    sessions = SessionPool(backend, PoolLimits(memory=300 << 20), FakeClock())
    try:
        assert (await told(sessions, "x = b'x' * 150_000_000")).ended == Ended(EndReason.COMPLETED)
        found = await told(sessions, "y = b'x' * 400_000_000\nwhile True: pass", TWO)
        assert (found.ended.reason, found.ended.state_kept) == (EndReason.OUT_OF_MEMORY, False)
        assert await sessions.start(ONE) == Started(is_new=True, lost=SessionLossReason.EVICTED)
        assert (await told(sessions, "1", TWO)).logs == "1\n"
    finally:
        await sessions.close()


async def test_a_session_used_all_the_time_ends_at_its_age(bwrap: SessionPool, clock: FakeClock) -> None:
    for _ in range(4):
        assert (await told(bwrap, "1")).ended == Ended(EndReason.COMPLETED)
        clock.ticks += 15 * 60
    assert await bwrap.start(ONE) == Started(is_new=True, lost=SessionLossReason.AGE)


async def test_fifty_sessions_at_once_and_none_starves(bwrap: SessionPool) -> None:
    threads = [type(ONE)(f"thread_{number}") for number in range(50)]
    began = time.monotonic()
    found = await asyncio.gather(*(told(bwrap, "sum(range(100_000))", thread) for thread in threads))
    assert {one.logs for one in found} == {"4999950000\n"}
    assert time.monotonic() - began < 20


def processes_below(top: int) -> list[dict[str, str]]:
    """The status of a process and of all below it, that still live."""
    status: dict[int, dict[str, str]] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        status[int(path.parent.name)] = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    family = {top}
    for _ in status:
        family |= {pid for pid, fields in status.items() if int(fields["PPid"]) in family}
    return [fields for pid, fields in status.items() if pid in family and fields["State"][0] != "Z"]
