"""What a process behind the fence can still do: nothing but compute."""

import os
import select
import subprocess
import sys

import pytest

PRELUDE = """
import os, socket, sys, ctypes, subprocess, mmap
from threadmill.adapters.extract import process_limits as fence
fence.restrict_process(2 * 1024**3, 5)
def attempt(call):
    try:
        call()
    except (OSError, ValueError, LookupError):
        os.write(1, b"refused")
    else:
        os.write(1, b"done")
    os._exit(0)
"""

ATTEMPTS = {
    "open a file": "open('/etc/hostname')",
    "write a file": "open('/tmp/threadmill-fence', 'w')",
    "list a folder": "os.listdir('/')",
    "open a TCP socket": "socket.socket()",
    "open a UNIX socket": "socket.socket(socket.AF_UNIX)",
    "open a pair of sockets": "socket.socketpair()",
    "resolve a name": "socket.getaddrinfo('localhost', 1)",
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "kill its parent": "os.kill(os.getppid(), 0)",
    "raise its limits": "__import__('resource').setrlimit(__import__('resource').RLIMIT_CPU, (9, 9))",
    "become root": "os.setuid(0)",
    "remove a file": "os.unlink('/tmp/threadmill-fence')",
    "make a pipe": "os.pipe()",
}

pytestmark = pytest.mark.needs("seccomp")


def run(code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-I", "-c", PRELUDE + code], capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_behind_the_fence_a_process_cannot(attempt: str) -> None:
    assert run(f"attempt(lambda: {ATTEMPTS[attempt]})").stdout == b"refused"


def test_behind_the_fence_a_process_can_compute_and_answer() -> None:
    assert run("attempt(lambda: bytearray(50_000_000))").stdout == b"done"


def test_a_process_of_root_is_nobody_behind_the_fence() -> None:
    code = "os.write(1, str(ctypes.CDLL(None).getpid() > 0).encode()); os._exit(0)"
    assert run(code).stdout == b"True"
    seen = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "from threadmill.adapters.extract import process_limits as fence; import os; fence.drop_rights(); print(os.getuid())",
        ],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert int(seen.stdout) != 0


def test_a_process_does_not_outlive_the_server_that_started_it() -> None:
    endless = PRELUDE + "os.write(1, b'x')\nwhile True: pass"
    starter = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-I', '-c', {endless!r}], stdout=subprocess.PIPE); c.stdout.read(1); print(c.pid, flush=True); c.wait()"
    server = subprocess.Popen([sys.executable, "-I", "-c", starter], stdout=subprocess.PIPE)
    assert server.stdout is not None
    with server.stdout, os.fdopen(os.pidfd_open(int(server.stdout.readline())), "rb", buffering=0) as child:
        server.kill()
        server.wait()
        assert select.select([child], [], [], 4)[0]


def test_memory_is_bounded() -> None:
    code = "\ntry:\n    bytearray(3 * 1024**3)\nexcept MemoryError:\n    os.write(1, b'bounded')\nos._exit(0)"
    assert run(code).stdout == b"bounded"


PARENT = PRELUDE.replace("fence.restrict_process(2 * 1024**3, 5)", "fence.restrict_parent()")


@pytest.mark.parametrize("attempt", ["open a file", "write a file", "list a folder", "open a TCP socket", "run a program", "become root", "make a pipe"])  # fmt: skip
def test_the_parent_of_all_readers_cannot(attempt: str) -> None:
    code = PARENT + f"attempt(lambda: {ATTEMPTS[attempt]})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=30, check=False)
    assert done.stdout == b"refused"
