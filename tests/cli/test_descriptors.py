"""Started under the few open files that systems give, the server takes as many as it may, and keeps some for itself."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import aiohttp


@contextmanager
def limited(directory: Path, soft: int, hard: int) -> Generator[tuple[str, int, Path]]:
    """URL, process id and log of a server that starts under these limits of open files."""
    command = ["-m", "threadmill", "serve", "--port", "0", "--data-dir", str(directory)]
    start = f"import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); os.execv({sys.executable!r}, {[sys.executable, *command]!r})"
    log = directory / "log"
    with log.open("w") as writing:
        env = {**os.environ, "THREADMILL_SANDBOX": "off"}
        process = subprocess.Popen(
            [sys.executable, "-c", start], stdout=subprocess.PIPE, stderr=writing, text=True, env=env
        )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, log.read_text()
        yield found[0], process.pid, log
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_the_soft_limit_is_raised_to_the_hard_one_and_the_database_is_open_before_anybody_comes(tmp_path: Path) -> None:
    with limited(tmp_path, 256, 1000) as (_, pid, _):
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (1000, 1000)
        files = [path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir()]
        assert files.count("threadmill.db") >= 3  # the writer's and two readers'


async def test_where_descriptors_are_few_some_streams_end_well_and_the_others_get_503(tmp_path: Path) -> None:
    script = "rehearsal:\nslow: 300ms\nsay: one two three four five"
    body = {"stream": True, "thread": {"messages": [{"role": "user", "content": script}]}}
    with limited(tmp_path, 64, 100) as (url, _, log):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def run(assistant: str) -> tuple[int, bool]:
                async with session.post(f"{url}/threads/runs", json={**body, "assistant_id": assistant}) as reply:
                    text = await reply.text()
                    return reply.status, "thread.run.completed" in text or "server_overloaded" in text

            async with session.post(f"{url}/assistants", json={"model": "rehearsal"}) as reply:
                assistant = (await reply.json())["id"]
            async with asyncio.timeout(60):
                ended = await asyncio.gather(*(run(assistant) for _ in range(80)))
        assert {status for status, _ in ended} == {200, 503}
        assert all(well for _, well in ended)
        assert log.read_text().count("connections are open") == 1
        assert "unable to open" not in log.read_text()
