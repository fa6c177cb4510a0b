"""Security: nothing that code in the sandbox tries gets out, whoever runs the server. Never run the table elsewhere."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.support import ENVIRONMENT, LIMITS, ROOT, TWO, bwrap_settings, fetched, told
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.bwrap.self_test import self_test
from threadmill.adapters.sandbox.inside import escape_tests, seccomp
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.engine.ports.sandbox import EndReason, FileRefused

ALL = re.compile(r"^sandbox: (\d+) of \1 attempts to get out were blocked$", re.MULTILINE)
HEADERS = {"x86_64": "asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}


async def test_every_attempt_of_the_escape_table_is_blocked(backend: BwrapBackend, tmp_path: Path) -> None:
    tested = await self_test(backend, LIMITS, hidden=(tmp_path, ROOT / "src", Path(sys.prefix), Path.home()))
    assert tested.succeeded == ()
    assert tested.attempts >= 99


@pytest.mark.skipif(os.getuid() != 0, reason="the test above was run by an ordinary user already")
def test_the_same_when_the_server_is_an_ordinary_user() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.sandbox.ordinary_user",
        sys.executable,
        "-m",
        "threadmill",
        "sandbox",
        "check",
    ]
    done = subprocess.run(
        [*command, "--path", str(ENVIRONMENT)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ALL.search(done.stdout), done.stdout + done.stderr
    assert "uid 65534" in done.stderr


async def test_an_attempt_that_succeeds_is_named(backend: BwrapBackend) -> None:
    tested = await self_test(backend, LIMITS, hidden=(Path("/usr/bin"),))
    assert tested.succeeded == ("read /usr/bin",)
    assert tested.problem == "The sandbox does not hold on this machine: it was possible to read /usr/bin."


def test_the_table_refuses_to_run_outside() -> None:
    with pytest.raises(SystemExit):
        escape_tests.run_escape_tests(1, "x", "x", (), 1)


async def test_the_servers_environment_is_nowhere_to_be_read(
    bwrap: SessionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADMILL_UPSTREAM_API_KEY", "sk-secret")
    code = """
import glob, os
found = str(dict(os.environ))
for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
    try:
        found += open(path).read()
    except OSError:
        pass
print('sk-' in found, 'THREADMILL' in found)
"""
    assert (await told(bwrap, code)).logs == "False False\n"


async def test_a_link_out_of_the_directory_is_not_followed(bwrap: SessionPool) -> None:
    code = "import os\nos.symlink('/etc', '/mnt/data/d')\nos.symlink('/etc/passwd', '/mnt/data/p.png')"
    found = await told(bwrap, code)
    assert (found.written, found.images) == ([], [])
    for name in ("d/passwd", "p.png", "d/new/deep"):
        with pytest.raises(FileRefused):
            await fetched(bwrap, name)


@pytest.mark.parametrize(
    "frame",
    [
        "b'\\xff' * 400",
        'struct.pack(\'>BI\', 10, 40) + b\'{"name": "x.png", "path": "../../etc/x.png"}\'.ljust(40)',
        "struct.pack('>BI', 5, 3) + b'abc'",
        "struct.pack('>BI', 13, 2) + b'{}'",
        'struct.pack(\'>BI\', 13, 33) + b\'{"how": "nonsense", "message": ""}\'',
        "struct.pack('>BI', 12, 2) + b'[]'",
    ],
)
async def test_nonsense_on_our_own_wire_harms_nobody(bwrap: SessionPool, frame: str) -> None:
    await told(bwrap, "x = 1", TWO)
    code = f"""
import os, socket, stat, struct
for fd in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.write(fd, {frame})
    except OSError:
        pass
"""
    async with asyncio.timeout(20):
        await told(bwrap, code)
        again = await told(bwrap, "'well'")
        assert again.logs == "'well'\n" or again.ended.reason is not EndReason.COMPLETED
        assert (await told(bwrap, "'well'")).logs == "'well'\n"
        assert (await told(bwrap, "x", TWO)).logs == "1\n"


async def test_process_1_and_the_other_sessions_cannot_be_signalled(bwrap: SessionPool) -> None:
    await told(bwrap, "x = 1", TWO)
    code = """
import os, signal
for pid in (1, 2, 3, -1):
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        if pid != os.getpid():
            try:
                os.kill(pid, number)
            except OSError:
                pass
"""
    async with asyncio.timeout(20):
        await told(bwrap, code)
        assert (await told(bwrap, "'well'")).logs == "'well'\n"
        assert (await told(bwrap, "x", TWO)).logs == "1\n"


def test_nothing_of_the_server_lies_in_the_sandboxes_python() -> None:
    assert bwrap_settings().environment == ENVIRONMENT
    names = {path.name for path in (ENVIRONMENT / "site").iterdir()}
    assert "numpy" in names
    assert not names & {"threadmill", "starlette", "sqlalchemy", "uvicorn", "aiohttp", "pydantic", "openai"}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_numbers_of_the_system_calls_are_the_kernels(machine: str) -> None:
    headers = [
        path
        for place in ("/usr/include", f"/usr/include/{machine}-linux-gnu")
        for path in [Path(place, HEADERS[machine])]
    ]
    header = next(filter(Path.is_file, headers), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    text = header.read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    ours = seccomp.X86_64 if machine == "x86_64" else seccomp.AARCH64
    assert {name: number for name, number in ours.items() if known.get(name, number) != number} == {}
    assert len(set(ours) & set(known)) > 60


def test_an_unknown_processor_gets_no_filter_and_so_no_session() -> None:
    with pytest.raises(seccomp.UnknownArchitecture):
        seccomp.program("pdp11")
