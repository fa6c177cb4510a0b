"""Step 3b of a replay: a Threadmill of its own for one recording, in this process, over real HTTP, with empty data."""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from threadmill.adapters.sandbox.environment import default_environment
from threadmill.api.server import Server, config
from threadmill.bootstrap import open_application
from threadmill.settings import ServerSettings, load

KEY = "replay-key-of-this-playing"
"""The one key the server takes, so that a recorded refusal of a key can be played."""

SHORT_TTL = 3
"""Seconds a run lives where a recording shows one that expired."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server to play against: its base URL up to and with /v1, and a key it takes."""

    base_url: str
    key: str


PYTHON = default_environment(ServerSettings().data_dir).absolute()
"""The sandbox's Python as `make setup` leaves it, for recordings in which code is run."""


@asynccontextmanager
async def serving(
    upstream_url: str, *, expires: bool, runs_code: bool, around: Callable[[ASGIApp], ASGIApp]
) -> AsyncGenerator[Target, None]:
    """A fresh server until left, its app `around`.

    `expires`: runs are to expire while the playing waits; `runs_code`: with a sandbox.
    """
    with tempfile.TemporaryDirectory(prefix="threadmill-replay-") as directory:
        env = {
            "THREADMILL_DATA_DIR": str(Path(directory)),
            "THREADMILL_UPSTREAM_URL": upstream_url,
            "THREADMILL_API_KEYS": KEY,
        }
        settings = Path(directory) / "threadmill.toml"
        settings.write_text(f"[sandbox]\npython = {json.dumps(str(PYTHON))}\n")
        # Its self-test takes seconds; who runs no code does without.
        env |= {"THREADMILL_CONFIG": str(settings)} if runs_code else {"THREADMILL_SANDBOX": "off"}
        if expires:
            env["THREADMILL_RUN_TTL_SECONDS"] = str(SHORT_TTL)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        async with open_application(load(env)) as assembly:
            ready = asyncio.Event()
            server = Server(config(around(assembly.app)), lambda: assembly.drain(0), ready.set)
            serve = asyncio.create_task(server.serve([listener]))
            await ready.wait()
            try:
                yield Target(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", KEY)
            finally:
                server.should_exit = True
                await serve
