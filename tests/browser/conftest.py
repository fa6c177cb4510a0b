"""Chromium, headless, with a page server of its own origin. Where it is missing these tests are skipped, in CI failed."""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.machine import lack

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # Names of no network: both lead to this machine, as names do whose owner points them here.
    "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP app.example 127.0.0.1",
)

SECONDS = 120
"""What a page may take, on a machine that does other things too."""


def find_chromium() -> str | None:
    return next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)


class Browser:
    """Opens pages of its own server, which has another origin than Threadmill, and gives what they report."""

    def __init__(self, program: str, profile: Path, port: int, pages: dict[str, str]) -> None:
        self._program = program
        self._profile = profile
        self._port = port
        self._pages = pages
        self.reports: asyncio.Queue[Any] = asyncio.Queue()

    def origin(self, host: str) -> str:
        return f"http://{host}:{self._port}"

    async def run(self, script: str, host: str = "app.example") -> Any:
        """What the page's async `script` returns. It runs as a module of the origin `host`."""
        self._pages["/page"] = PAGE.replace("SCRIPT", script)
        async with self._opened(f"{self.origin(host)}/page"), asyncio.timeout(SECONDS):
            return await self.reports.get()

    async def text_of(self, url: str) -> str:
        """The text of a page that a user opens."""
        async with self._opened(url, "--dump-dom") as process, asyncio.timeout(SECONDS):
            return (await process.communicate())[0].decode()

    @asynccontextmanager
    async def _opened(self, url: str, *flags: str) -> AsyncGenerator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *FLAGS,
            f"--user-data-dir={self._profile}",
            *flags,
            url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
async function run() { SCRIPT }
let report;
try { report = await run(); } catch (error) { report = {error: String(error)}; }
await fetch("/report", {method: "POST", body: JSON.stringify(report)});
</script>"""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[Browser]:
    program = find_chromium()
    lack("" if program else "there is no chromium: apt-get install chromium")
    assert program is not None
    pages: dict[str, str] = {}
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=pages["/page"], content_type="text/html")

    async def report(request: web.Request) -> web.Response:
        opened.reports.put_nowait(json.loads(await request.read()))
        return web.Response()

    app.router.add_get("/page", page)
    app.router.add_post("/report", report)
    modules = Path(__file__).parents[1] / "sdk" / "node" / "node_modules"
    if modules.is_dir():
        app.router.add_static("/modules", modules)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened = Browser(program, tmp_path / "profile", runner.addresses[0][1], pages)
    try:
        yield opened
    finally:
        await runner.cleanup()
