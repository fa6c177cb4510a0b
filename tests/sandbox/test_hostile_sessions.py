"""Sessions that speak on our own wire: forged, cut off, oversized. They harm nobody, and the call has an end."""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile

import pytest

from tests.sandbox.support import ENVIRONMENT, ONE, ROOT, TWO, bwrap_settings, fetched, limits, told
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.backend import SessionLimits
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.factory import bwrap_backend
from threadmill.adapters.sandbox.output_gate import OutputBudget, clean_line, clean_name
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits
from threadmill.engine.ports.sandbox import EndReason, FileRefused

SAY = """
import os, socket, stat, struct, json
def say(frame):
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, frame)
        except OSError:
            pass
def forge(kind, text):
    import sys
    frame = sys._getframe()
    while frame and "token" not in frame.f_locals:
        frame = frame.f_back
    token = frame.f_locals["token"] if frame else ""
    payload = text.replace("TOKEN", token).encode()
    say(struct.pack('>BI', kind, len(payload)) + payload)
"""
DONE, IMAGE = 13, 10


async def narrow(bounds: SessionLimits, pool: PoolLimits | None = None) -> SessionPool:
    return SessionPool(bwrap_backend(bwrap_settings(bounds)), pool or PoolLimits(), FakeClock())


async def test_half_a_frame_does_not_stop_the_clock() -> None:
    pool = await narrow(limits(wall=1))
    try:
        await told(pool, "1")
        async with asyncio.timeout(15):
            found = await told(pool, SAY + "say(struct.pack('>BI', 13, 400))\nwhile True: pass")
        assert found.ended.reason in {EndReason.TIMED_OUT, EndReason.KILLED}
        assert "could not be stopped" not in str(found.ended.message)
        assert (await told(pool, "'well'")).logs == "'well'\n"
    finally:
        await pool.close()


async def test_half_a_frame_does_not_stop_the_watch_over_memory() -> None:
    pool = await narrow(limits(wall=20, memory=512 << 20))
    code = (
        SAY
        + """
say(struct.pack('>BI', 13, 400))
children = []
for _ in range(8):
    if os.fork() == 0:
        kept = bytearray(100 << 20)
        while True: pass
while True: pass
"""
    )
    try:
        async with asyncio.timeout(15):
            assert (await told(pool, code)).ended.reason is EndReason.OUT_OF_MEMORY
    finally:
        await pool.close()


async def test_a_picture_of_empty_frames_does_not_stop_the_clock() -> None:
    pool = await narrow(limits(wall=1))
    code = f"""{SAY}
forge({IMAGE}, json.dumps({{"name": "x.png", "path": None}}))
while True: say(struct.pack('>BI', 5, 0) * 10_000)
"""
    try:
        message = str((await told(pool, code)).ended.message)
        assert "could not be stopped" not in message
        assert "A picture was too large" in message
        assert (await told(pool, "'well'")).logs == "'well'\n"
    finally:
        await pool.close()


async def test_an_interpreter_that_reads_no_code_runs_into_its_time() -> None:
    pool = await narrow(limits(wall=1))
    forged = (
        SAY
        + """forge(13, json.dumps({"token": "TOKEN", "how": "completed", "message": None}))
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
"""
    )
    try:
        assert (await told(pool, forged)).ended.reason is EndReason.COMPLETED
        async with asyncio.timeout(15):
            found = await told(pool, "x = '" + "x" * 4_000_000 + "'")
        assert found.ended.reason is EndReason.TIMED_OUT
        assert (await told(pool, "'well'")).logs == "'well'\n"
    finally:
        await pool.close()


async def test_what_sockets_hold_unread_counts_as_memory() -> None:
    pool = await narrow(limits(wall=20, memory=512 << 20))
    code = """
import os, socket, time
for _ in range(15):
    if os.fork() == 0:
        break
kept = []
while True:
    try:
        one, other = socket.socketpair()
        one.setblocking(False)
        kept += [one, other]
        while True: one.send(bytes(65536))
    except BlockingIOError:
        continue
    except OSError:
        time.sleep(60)
"""
    try:
        async with asyncio.timeout(15):
            assert (await told(pool, code)).ended.reason is EndReason.OUT_OF_MEMORY
    finally:
        await pool.close()


async def test_a_socket_on_its_way_counts_too_and_its_buffer_cannot_be_made_larger() -> None:
    pool = await narrow(limits(wall=20, memory=320 << 20))
    code = """
import socket, time
carrier, _ = socket.socketpair()
carrier.setblocking(False)
while True:
    try:
        one, other = socket.socketpair()
        try: one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
        except PermissionError: pass
        else: print("larger")
        one.setblocking(False)
        try:
            while True: one.send(bytes(65536))
        except BlockingIOError: pass
        socket.send_fds(carrier, [b"x"], [one.fileno(), other.fileno()])
        one.close(), other.close()
    except OSError:
        kept = [socket.socketpair() for _ in range(200)]
        time.sleep(60)
"""
    try:
        async with asyncio.timeout(15):
            found = await told(pool, code)
        assert (found.ended.reason, found.logs.count("larger")) == (EndReason.OUT_OF_MEMORY, 0)
    finally:
        await pool.close()


async def test_code_holds_no_descriptor_but_its_own(bwrap: SessionPool) -> None:
    code = """
import os
for fd in sorted(map(int, os.listdir('/proc/self/fd'))):
    try:
        print(fd, os.readlink(f'/proc/self/fd/{fd}').partition(':')[0])
    except OSError:
        pass
"""
    kinds = [line.partition(" ")[2] for line in (await told(bwrap, code)).logs.splitlines()]
    assert kinds == ["/dev/null", "pipe", "pipe", "socket"]


@pytest.mark.needs("root")
async def test_the_list_of_mounts_does_not_tell_where_the_server_lies(bwrap: SessionPool) -> None:
    mounts = (await told(bwrap, "print(open('/proc/self/mountinfo').read())")).logs
    assert "/opt/python" in mounts
    assert str(ROOT) not in mounts


async def test_a_server_with_thousands_of_open_descriptors_starts_its_sandbox() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1_100)]
    pool = await narrow(limits())
    try:
        assert (await told(pool, "'well'")).logs == "'well'\n"
    finally:
        await pool.close()
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_descriptor_the_server_inherited_is_not_inside() -> None:
    with tempfile.TemporaryFile() as secret:
        secret.write(b"secret")
        os.set_inheritable(secret.fileno(), True)
        done = subprocess.run(
            [sys.executable, "-m", "threadmill", "sandbox", "check", "--path", str(ENVIRONMENT)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=[secret.fileno()],
        )
    assert "attempts to get out were blocked" in done.stdout, done.stdout + done.stderr


async def test_deleting_a_thread_does_not_wait_for_a_zygote_that_says_nothing(backend: BwrapBackend) -> None:
    made = bwrap_backend(bwrap_settings())
    pool = SessionPool(made, PoolLimits(), FakeClock())
    await told(pool, "1")
    zygote = await made.zygote()
    (session,) = zygote.sessions
    zygote.sessions[session] = asyncio.Event()  # its news was taken away
    zygote.kill_seconds = 0.1
    async with asyncio.timeout(10):
        await pool.close(ONE)
    assert (await told(pool, "'well'")).logs == "'well'\n"
    await pool.close()


ZYGOTE = """
import os, signal, socket
from threadmill.adapters.sandbox.inside import zygote

def nothing(*_, **__):
    raise BlockingIOError

STOLEN
zygote.SELF_CHECK_SECONDS = 0.05
server = zygote.ForkServer(socket.socket(fileno=0))
server.unloaded.clear()
child = os.fork()
if child == 0:
    os._exit(7)
server.numbers[child] = 5
server.serve()
"""
"""A zygote with one session, which ends at once."""


@pytest.mark.parametrize(
    "stolen",
    ["signal.set_wakeup_fd = lambda *_, **__: None", "os.read = nothing"],
    ids=["before it wakes up", "before it reads"],
)
def test_a_zygote_whose_news_are_stolen_looks_by_itself_and_lives_on(stolen: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    code = ZYGOTE.replace("STOLEN", stolen)
    with ours, subprocess.Popen([sys.executable, "-c", code], stdin=theirs.fileno()) as process:
        theirs.close()
        assert json.loads(ours.recv(4096)) == {"ready": True}
        assert json.loads(ours.recv(4096)) == {"ended": 5, "status": 7}
        assert process.poll() is None
        ours.close()
        assert process.wait() == 0


@pytest.mark.parametrize(
    "verdict",
    [
        '{"token": "TOKEN", "how": "exception", "message": "' + "[" * 100_000 + '"}',
        "[" * 100_000,
        '{"token": "TOKEN", "how": "exception", "message": "\\ud800"}',
        '{"token": "TOKEN", "how": 1e999, "message": 1e999}',
        '{"token": "TOKEN", "how": {}, "message": null}',
    ],
)
async def test_whatever_a_verdict_says_the_call_ends_with_clean_text(verdict: str) -> None:
    pool = await narrow(limits(wall=1))
    try:
        await told(pool, "x = 1", TWO)
        found = await told(pool, f"{SAY}\nforge({DONE}, {verdict!r})\nwhile True: pass")
        str(found.ended.message).encode()
        assert len(str(found.ended.message)) < 1_200
        async with asyncio.timeout(20):
            await told(pool, "'the first cell runs still, until its time is over'")
            assert (await told(pool, "'well'")).logs == "'well'\n"
            assert (await told(pool, "x", TWO)).logs == "1\n"
    finally:
        await pool.close()


@pytest.mark.parametrize("name", ["a\\nb.txt", "\\x1b[2J.txt", "\\x7f"])
async def test_a_file_whose_name_cannot_be_told_is_left_alone(bwrap: SessionPool, name: str) -> None:
    found = await told(
        bwrap, f"open({name!r}.encode().decode('unicode_escape'), 'w').write('x')\nopen('fine', 'w').write('x')"
    )
    assert [one.path for one in found.written] == ["fine"]
    with pytest.raises(FileRefused):
        await fetched(bwrap, name.encode().decode("unicode_escape"))


async def test_forged_pictures_have_names_that_can_be_stored(bwrap: SessionPool) -> None:
    code = f"""{SAY}
forge({IMAGE}, json.dumps({{"name": "\\x00\\n\\ud800" + "n" * 100_000, "path": None}}))
forge(5, "not a picture")
forge(6, "")
forge({DONE}, json.dumps({{"token": "TOKEN", "how": "completed", "message": None}}))
"""
    (image,) = (await told(bwrap, code)).images
    assert image.name == "n" * 255


async def test_sparse_files_cost_no_more_than_the_budget_of_a_call() -> None:
    pool = await narrow(limits(), PoolLimits(call_output=1 << 20, session_output=3 << 20))
    code = "for n in range(3):\n    open(f'{n}.bin', 'wb').truncate(600_000)"
    try:
        for _ in range(2):
            written = (await told(pool, code)).written
            assert len(written) == 3
            assert len(await fetched(pool, "0.bin")) == 600_000
            with pytest.raises(FileRefused, match="larger than it may be"):
                await fetched(pool, "1.bin")
            assert (await told(pool, "'well'")).logs == "'well'\n"
    finally:
        await pool.close()


async def test_pictures_beyond_the_budget_are_told_and_left_out() -> None:
    pool = await narrow(limits(), PoolLimits(call_output=100_000, session_output=150_000))
    code = "for n in range(3):\n    open(f'{n}.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + bytes(60_000))"
    try:
        found = await told(pool, code)
        assert [image.path for image in found.images] == ["0.png"]
        assert found.logs.count("a picture was left out") == 2
        again = await told(pool, "open('4.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + bytes(100_000))")
        assert again.images == []
    finally:
        await pool.close()


def test_a_budget_counts_what_came_out_against_the_session() -> None:
    budget = OutputBudget(per_call=10, session=15)
    budget.begin_call()
    assert (budget.take(8), budget.take(3), budget.take(2)) == (True, False, True)
    budget.begin_call()
    assert (budget.take(6), budget.take(5)) == (False, True)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("report.csv", "report.csv"),
        ("Bildschirmfoto\u202f10\u00a0Uhr.png", "Bildschirmfoto\u202f10\u00a0Uhr.png"),
        ("\0\n\x1b", "file"),
        ("ü" * 200, "ü" * 127),
    ],
)
def test_names_keep_what_can_be_told(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_a_line_is_one_line() -> None:
    assert clean_line("a\nb\x00\ud800c", 100) == "a b c"
    assert len(clean_line("x" * 9_000, 1_000)) == 1_000
