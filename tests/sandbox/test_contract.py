"""What every back end owes the port."""

import asyncio

import pytest

from tests.sandbox.support import ONE, TWO, fetched, pieces, told
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.engine.ports.sandbox import (
    Ended,
    EndReason,
    FileRefused,
    SandboxUnavailable,
    SessionLossReason,
    Started,
)


async def test_what_is_printed_and_the_last_value_come_in_order(sandbox: SessionPool) -> None:
    code = "import sys\nprint('a')\nprint('b', file=sys.stderr, flush=True)\nprint('c')\n6 * 7"
    found = await told(sandbox, code)
    if "b" in found.logs.split("\n", 1)[0]:  # a remote kernel has two streams and does not promise their order
        found.logs = found.logs.replace("b\na\n", "a\nb\n")
    assert sorted(found.logs.split()) == ["42", "a", "b", "c"]
    assert found.logs.endswith("42\n")
    assert found.ended == Ended(EndReason.COMPLETED)


async def test_variables_live_on_and_threads_do_not_see_each_other(sandbox: SessionPool) -> None:
    await told(sandbox, "x = 20")
    await told(sandbox, "x = 'other'; open('/mnt/data/mine.txt', 'w').close()", TWO)
    assert (await told(sandbox, "x + 1")).logs == "21\n"
    assert (await told(sandbox, "import os; os.listdir('/mnt/data')")).logs == "[]\n"


async def test_an_exception_is_an_answer_with_a_readable_traceback(sandbox: SessionPool) -> None:
    found = await told(sandbox, "def f(n):\n    return 1 / n\n\nprint('before')\nf(0)")
    assert found.logs.startswith("before\n")
    assert "return 1 / n" in found.logs
    assert "ZeroDivisionError: division by zero" in found.logs
    assert "threadmill" not in found.logs
    assert "/opt/runner" not in found.logs
    assert "\x1b" not in found.logs
    assert found.ended == Ended(EndReason.EXCEPTION, "ZeroDivisionError: division by zero")


async def test_a_syntax_error_is_an_answer(sandbox: SessionPool) -> None:
    found = await told(sandbox, "def f(:")
    assert found.ended.reason is EndReason.EXCEPTION
    assert "SyntaxError" in found.logs
    assert "ast.py" not in found.logs


async def test_display_shows_values_as_the_last_one_is_shown(sandbox: SessionPool) -> None:
    assert (await told(sandbox, "display('a', 1)\nprint('b')\ndisplay(2)")).logs == "'a'\n1\nb\n2\n"


async def test_a_figure_left_open_is_shown_once(sandbox: SessionPool) -> None:
    code = "import matplotlib\nfrom matplotlib import pyplot as plt\nplt.plot([1, 2])\nNone"
    found = await told(sandbox, code)
    assert [image.data[:4] for image in found.images] == [b"\x89PNG"]
    assert found.images[0].path is None
    assert (await told(sandbox, "1")).images == []


async def test_a_saved_image_comes_with_its_path(sandbox: SessionPool) -> None:
    code = "from matplotlib.figure import Figure\nFigure().savefig('/mnt/data/out.png')"
    found = await told(sandbox, code)
    assert [(image.name, image.path) for image in found.images] == [("out.png", "out.png")]
    assert found.images[0].data == await fetched(sandbox, "out.png")


async def test_files_written_are_told_and_can_be_fetched(sandbox: SessionPool) -> None:
    code = "import os\nos.makedirs('/mnt/data/a')\nopen('/mnt/data/a/ü.csv', 'w').write('1,2')\nprint('/mnt/data')"
    found = await told(sandbox, code)
    assert [(file.path, file.size) for file in found.written] == [("a/ü.csv", 3)]
    assert found.logs.startswith("/mnt/data\n")
    assert await fetched(sandbox, "a/ü.csv") == b"1,2"
    assert (await told(sandbox, "pass")).written == []


async def test_files_put_are_there_whole_and_are_not_told_as_written(sandbox: SessionPool) -> None:
    content = bytes(range(256)) * 9000
    await sandbox.put(ONE, "file-1", pieces(b"an older one"))
    await sandbox.put(ONE, "file-1", pieces(content[:1_500_000], content[1_500_000:]))
    await sandbox.put(ONE, "empty", pieces())
    found = await told(sandbox, "import os\n(os.path.getsize('/mnt/data/file-1'), os.path.getsize('/mnt/data/empty'))")
    assert found.logs == f"({len(content)}, 0)\n"
    assert found.written == []
    assert await fetched(sandbox, "file-1") == content


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\0b", "."])
async def test_a_name_that_leaves_the_directory_is_refused(bwrap: SessionPool, path: str) -> None:
    with pytest.raises(FileRefused):
        await bwrap.put(ONE, path, pieces(b"x"))
    with pytest.raises(FileRefused):
        await fetched(bwrap, path)


async def test_what_is_no_regular_file_is_not_fetched(sandbox: SessionPool) -> None:
    code = "import os\nos.symlink('/etc/hostname', '/mnt/data/link')\nos.mkfifo('/mnt/data/pipe')\nos.mkdir('/mnt/data/dir')"
    assert (await told(sandbox, code)).written == []
    for name in ("link", "pipe", "dir", "nothing"):
        with pytest.raises(FileRefused):
            await fetched(sandbox, name)
    assert (await told(sandbox, "1")).logs == "1\n"


async def test_who_stops_reading_a_file_leaves_the_session_usable(sandbox: SessionPool) -> None:
    await told(sandbox, "open('/mnt/data/big', 'wb').write(bytes(5_000_000))")
    reading = sandbox.get(ONE, "big")
    await anext(reading)
    await reading.aclose()
    assert (await told(sandbox, "2")).logs == "2\n"


async def test_long_output_is_cut_in_the_middle_with_a_note(sandbox: SessionPool) -> None:
    found = await told(sandbox, "print('first')\nfor n in range(200_000): print(n)\nprint('last')")
    assert found.logs.startswith("first\n0\n1\n")
    assert found.logs.endswith("last\n")
    assert " of output left out …]" in found.logs
    assert len(found.logs) < 10_200


async def test_who_stops_listening_stops_the_code(sandbox: SessionPool) -> None:
    await told(sandbox, "x = 1")
    running = sandbox.execute(ONE, "print('on')\nwhile True: pass")
    await anext(running)
    await running.aclose()
    async with asyncio.timeout(15):
        assert (await told(sandbox, "x")).logs == "1\n"


async def test_a_killed_interpreter_is_an_answer_and_the_next_call_works(sandbox: SessionPool) -> None:
    await told(sandbox, "x = 1", TWO)
    found = await told(sandbox, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert found.ended.reason is EndReason.KILLED
    assert not found.ended.state_kept
    assert (await told(sandbox, "3")).logs == "3\n"
    assert (await told(sandbox, "x", TWO)).logs == "1\n"


async def test_calls_for_one_thread_wait_for_each_other(sandbox: SessionPool) -> None:
    await told(sandbox, "n = 0")
    code = "import time\nm = n\ntime.sleep(0.05)\nn = m + 1"  # lint: allow tests_do_not_sleep because the model's code does
    await asyncio.gather(*(told(sandbox, code) for _ in range(4)))
    assert (await told(sandbox, "n")).logs == "4\n"


async def test_an_idle_session_ends_and_the_next_start_says_so(sandbox: SessionPool, clock: FakeClock) -> None:
    assert await sandbox.start(ONE) == Started(is_new=True)
    assert await sandbox.start(ONE) == Started(is_new=False)
    clock.ticks += 20 * 60
    assert await sandbox.expire() == 1
    assert await sandbox.start(ONE) == Started(is_new=True, lost=SessionLossReason.IDLE)


async def test_a_busy_session_ends_at_its_age_but_never_during_a_call(sandbox: SessionPool, clock: FakeClock) -> None:
    await told(sandbox, "x = 1")
    running = sandbox.execute(ONE, "print('on', flush=True)\nwhile True: pass")
    await anext(running)
    clock.ticks += 60 * 60
    assert await sandbox.expire() == 0
    await running.aclose()
    assert await sandbox.start(ONE) == Started(is_new=True, lost=SessionLossReason.AGE)


async def test_a_closed_session_forgets_everything(sandbox: SessionPool) -> None:
    await told(sandbox, "x = 1")
    await sandbox.close(ONE)
    assert await sandbox.start(ONE) == Started(is_new=True)
    assert "NameError" in (await told(sandbox, "x")).logs


async def test_a_closed_sandbox_refuses(sandbox: SessionPool) -> None:
    await sandbox.close()
    with pytest.raises(SandboxUnavailable):
        await sandbox.start(ONE)
