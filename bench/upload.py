"""Measure of uploads: what 512 MB through a server of its own add to its memory. `python -m bench.upload`."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PORT, STORE_PORT = 18107, 18108
MB = 2**20
SIZE = 512 * MB
DEMAND = 32
HEAD = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
Row = tuple[str, str, str, bool]


class Served:
    """A server that listens, and its memory."""

    def __init__(self, directory: str, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "threadmill", "serve", "--port", str(PORT), "--data-dir", directory]
        env = {**os.environ, "THREADMILL_SANDBOX": "off", **env}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, cwd=ROOT)
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "the server did not start"

    def memory(self, name: str) -> int:
        """Bytes: `VmRSS` now, `VmHWM` at most since `forget`."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

    def forget(self) -> None:
        """Let the highest be that of now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@contextmanager
def served(env: dict[str, str]) -> Generator[Served]:
    """A server in a directory of its own, beside the code: on a disk, not in memory."""
    with tempfile.TemporaryDirectory(dir=ROOT) as directory:
        server = Served(directory, env)
        try:
            yield server
        finally:
            server.process.terminate()
            server.process.wait()


async def upload(size: int) -> None:
    """A file of so many different bytes."""
    await upload_file(size, "large.bin", "user_data")


async def upload_file(size: int, name: str, purpose: str) -> str:
    """The id of a file of so many different bytes."""
    return await uploaded((os.urandom(MB), size), name, purpose)


async def uploaded(content: bytes | tuple[bytes, int], name: str, purpose: str) -> str:
    """The id of a file, bytes or a block of them repeated up to a size, sent as fast as it is taken, its purpose behind it."""
    block, size = content if isinstance(content, tuple) else (content, len(content))
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    first = HEAD % (b"file", f'; filename="{name}"'.encode())
    last = b"\r\n" + HEAD % (b"purpose", b"") + purpose.encode() + b"\r\n--b--\r\n"
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: %d\r\n\r\n" % (len(first) + size + len(last)) + first
    )
    for at in range(0, size, len(block)):
        writer.write(block[: size - at])
        await writer.drain()
    writer.write(last)
    head = await reader.readuntil(b"\r\n\r\n")
    answer = await reader.read(2**16)
    assert b" 200 " in head[:20], head + answer
    writer.close()
    return json.loads(answer)["id"]


def measured(env: dict[str, str]) -> tuple[float, float]:
    """Megabytes the memory grew by at most, and seconds."""
    with served(env) as server:
        asyncio.run(upload(MB))  # what the first request of all costs once
        server.forget()
        before, began = server.memory("VmRSS"), time.perf_counter()
        asyncio.run(upload(SIZE))
        return (server.memory("VmHWM") - before) / MB, time.perf_counter() - began


async def listening(port: int) -> None:
    """Return when somebody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


@contextmanager
def store() -> Generator[dict[str, str]]:
    """A local S3-compatible store in a process of its own; the settings of a server that uses it."""
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(STORE_PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{STORE_PORT}"
    try:
        asyncio.run(listening(STORE_PORT))
        urllib.request.urlopen(urllib.request.Request(f"{url}/bench", method="PUT")).close()
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        yield {"THREADMILL_BLOBS": "s3://bench", "THREADMILL_BLOBS_ENDPOINT": url, **keys}
    finally:
        moto.terminate()
        moto.wait()


def row(name: str, env: dict[str, str]) -> Row:
    """A row of the table."""
    grown, took = measured(env)
    return name, f"{grown:.1f} MB ({took:.1f} s)", f"<= {DEMAND} MB", grown <= DEMAND


def rows() -> list[Row]:
    """Both stores."""
    found = [row("growth of the server's memory by an upload of 512 MB, disk", {})]
    with store() as env:
        found.append(row("the same into an S3-compatible store on the same machine", env))
    return found


if __name__ == "__main__":
    for what, shown, demanded, met in rows():
        print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")
