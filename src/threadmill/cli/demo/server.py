"""Starts the demo's server, and finds out before whether it can run code."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threadmill.adapters.sandbox.bwrap.self_test import SelfTest, self_test
from threadmill.adapters.sandbox.factory import SandboxSettings, bwrap_backend
from threadmill.engine.ports.sandbox import SandboxUnavailable
from threadmill.settings import load


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """`works`, and in one line why or why not."""

    works: bool
    line: str


def sandbox_status() -> SandboxStatus:
    """What `threadmill sandbox check` finds; about two seconds. Raises SettingsError."""
    settings = SandboxSettings.of(load())
    if settings.backend == "off":
        return SandboxStatus(works=False, line="THREADMILL_SANDBOX is off.")
    if settings.backend != "bwrap":
        return SandboxStatus(works=True, line=f"it runs at {settings.backend}")
    try:
        tested = asyncio.run(_run_self_test(settings))
    except SandboxUnavailable as refused:
        return SandboxStatus(works=False, line=refused.message)
    if tested.problem:
        return SandboxStatus(works=False, line=tested.problem)
    return SandboxStatus(works=True, line=f"its sandbox blocked all {tested.attempts} attempts to get out")


async def _run_self_test(settings: SandboxSettings) -> SelfTest:
    backend = bwrap_backend(settings)
    try:
        return await self_test(backend, settings.limits, settings.hidden)
    finally:
        await backend.close()


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running server, and what it logs."""

    url: str
    log: Path


@contextmanager
def start_server(sandbox: SandboxStatus) -> Generator[DemoServer, None, None]:
    """A server with an empty database, and with the sandbox if it works. Raises SettingsError."""
    with tempfile.TemporaryDirectory(prefix="threadmill-demo-") as directory:
        command = [sys.executable, "-m", "threadmill", "serve", "--port", "0", "--data-dir", directory]
        env, log = _environment(Path(directory), sandbox), Path(directory) / "log"
        with log.open("w") as writing:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writing, text=True, env=env)
        try:
            first = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://\S+", first)
            if found is None:
                raise SystemExit(f"The server did not start:\n{log.read_text()}")
            yield DemoServer(found[0], log)
        finally:
            process.terminate()
            process.wait()


def _environment(directory: Path, sandbox: SandboxStatus) -> dict[str, str]:
    """Nothing of the user's own settings but the sandbox's."""
    settings = SandboxSettings.of(load())
    config = directory / "threadmill.toml"
    config.write_text(f"[sandbox]\npython = {json.dumps(str(settings.environment.absolute()))}\n")
    names = {"THREADMILL_CONFIG": str(config), "THREADMILL_SANDBOX": settings.backend if sandbox.works else "off"}
    if settings.token:
        names["THREADMILL_SANDBOX_TOKEN"] = settings.token
    return {name: value for name, value in os.environ.items() if not name.startswith("THREADMILL_")} | names


def download_dir() -> Path:
    """Where downloads go: beside the user's data, or in a place of their own if that cannot be written."""
    wanted = load().server.data_dir / "demo"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="threadmill-demo-"))
    return wanted if os.access(wanted, os.W_OK) else Path(tempfile.mkdtemp(prefix="threadmill-demo-"))
