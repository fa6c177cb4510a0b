"""Real sandboxes: bubblewrap with its zygote, and a Jupyter Kernel Gateway in a process of its own."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.sandbox.support import LIMITS, ROOT, bwrap_settings
from tests.support.stage import FakeClock
from threadmill.adapters.sandbox.backend import Backend
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.adapters.sandbox.factory import bwrap_backend
from threadmill.adapters.sandbox.remote.backend import RemoteBackend
from threadmill.adapters.sandbox.session_pool import SessionPool
from threadmill.adapters.sandbox.session_slot import PoolLimits

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

HERE = Path(__file__).parent
GATEWAY = ROOT / ".venv-gateway" / "bin" / "python"


def die_with_parent() -> None:
    """A test run that is killed leaves no gateway behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def free_port() -> int:
    """Nobody listens there now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def unused_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running gateway's URL; one for all tests, each has kernels of its own."""
    directory = tmp_path_factory.mktemp("gateway")
    port = free_port()  # if somebody takes it before the gateway does, it tries the next and says so
    command = [
        str(GATEWAY),
        "-m",
        "kernel_gateway",
        f"--KernelGatewayApp.port={port}",
        "--KernelGatewayApp.auth_token=t0ken",
    ]
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "TMPDIR": str(directory)}
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call, before there are threads
        ) as process,
    ):
        assert process.stdout is not None
        url = ""
        while not url:
            line = process.stdout.readline().decode()
            assert line, "the gateway ended"
            url = line.split(" is available at ")[1].strip() if " is available at " in line else ""
        copying = threading.Thread(target=shutil.copyfileobj, args=(process.stdout, log))
        copying.start()
        try:
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            copying.join()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all tests here: they share a bubblewrap, whose start takes longer than most of them."""
    for item in (one for one in items if HERE in one.path.parents):
        item.add_marker(pytest.mark.needs("sandbox"))
        if pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Shared:
    """Opens sessions for one test; the back end outlives it."""

    unavailable_reason: str | None = None

    def __init__(self, backend: BwrapBackend) -> None:
        self.open = backend.open

    async def close(self) -> None:
        """Others need it still."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def backend() -> AsyncGenerator[BwrapBackend, None]:
    """One for all tests here."""
    made = bwrap_backend(bwrap_settings())
    yield made
    await made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest_asyncio.fixture(params=["bwrap", "remote"], loop_scope="session")
async def sandbox(
    request: pytest.FixtureRequest, backend: BwrapBackend, clock: FakeClock
) -> AsyncGenerator[SessionPool, None]:
    """The port over each back end."""
    made: Backend = Shared(backend)
    if request.param == "remote":
        made = await RemoteBackend.connect(request.getfixturevalue("gateway"), "t0ken", LIMITS)
    async with _sessions(made, clock) as sessions:
        yield sessions


@pytest_asyncio.fixture(loop_scope="session")
async def bwrap(backend: BwrapBackend, clock: FakeClock) -> AsyncGenerator[SessionPool, None]:
    """The port over bubblewrap only."""
    async with _sessions(Shared(backend), clock) as sessions:
        yield sessions


@asynccontextmanager
async def _sessions(backend: Backend, clock: FakeClock) -> AsyncGenerator[SessionPool, None]:
    sessions = SessionPool(backend, PoolLimits(), clock)
    try:
        yield sessions
    finally:
        await sessions.close()
