"""Real sandboxes: bubblewrap with its zygote, and a Jupyter Kernel Gateway in a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.sandbox.support import LIMITS, ROOT, bwrap_settings
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.opening import bwrap_backend
from threadmill.adapters.sandbox.remote.backend import RemoteBackend
from threadmill.adapters.sandbox.session import Backend
from threadmill.adapters.sandbox.sessions import Lifetimes, ThreadSessions

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

GATEWAY = ROOT / ".venv-gateway" / "bin" / "python"


@asynccontextmanager
async def kernel_gateway(directory: Path) -> AsyncGenerator[str, None]:
    """A running gateway; its URL."""
    command = [str(GATEWAY), "-m", "kernel_gateway", "--KernelGatewayApp.port=0", "--KernelGatewayApp.auth_token=t0ken"]
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "TMPDIR": str(directory)}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stderr=asyncio.subprocess.PIPE, cwd=directory, start_new_session=True
    )
    assert process.stderr is not None
    url = ""
    while not url:
        line = (await process.stderr.readline()).decode()
        assert line, "the gateway ended"
        url = line.split(" is available at ")[1].strip() if " is available at " in line else ""
    reading = asyncio.create_task(process.stderr.read())
    try:
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()
        await reading


@pytest.fixture
async def backend() -> AsyncGenerator[BwrapBackend, None]:
    made = bwrap_backend(bwrap_settings())
    yield made
    await made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["bwrap", "remote"])
async def sandbox(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncGenerator[ThreadSessions, None]:
    """The port over each back end."""
    if request.param == "bwrap":
        made = bwrap_backend(bwrap_settings())
        async with _sessions(made, clock) as sessions:
            yield sessions
        return
    async with kernel_gateway(tmp_path) as url:
        remote = await RemoteBackend.connect(url, "t0ken", LIMITS)
        async with _sessions(remote, clock) as sessions:
            yield sessions


@pytest.fixture
async def bwrap(backend: BwrapBackend, clock: FakeClock) -> AsyncGenerator[ThreadSessions, None]:
    """The port over bubblewrap only."""
    async with _sessions(backend, clock) as sessions:
        yield sessions


@asynccontextmanager
async def _sessions(backend: Backend, clock: FakeClock) -> AsyncGenerator[ThreadSessions, None]:
    sessions = ThreadSessions(backend, Lifetimes(), clock)
    try:
        yield sessions
    finally:
        await sessions.close()
