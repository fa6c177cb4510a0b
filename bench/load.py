"""The load client: bare sockets, a few bytes looked for, nothing parsed that need not be."""

import asyncio
import json
import re
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

STAMP = re.compile(rb'"(?:value|content)":" (\d{12,})"')


@dataclass
class Stream:
    """What one streamed answer showed. Seconds; `delays` from the upstream's stamp to here."""

    events: int = 0
    first: float = 0.0
    total: float = 0.0
    delays: list[float] = field(default_factory=list[float])


def request(port: int, method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer x\r\n"
    return (head + f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body


async def stream(port: int, path: str, body: Any, mark: bytes, stamped: bool = False) -> Stream:
    """Send and read to the end; counts `mark`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    began = time.perf_counter()
    writer.write(request(port, "POST", path, json.dumps(body).encode()))
    seen, rest = Stream(), b""
    while data := await reader.read(2**18):
        now = time.monotonic_ns()
        block = rest + data
        found = block.count(mark)
        if found and not seen.events:
            seen.first = time.perf_counter() - began
        seen.events += found
        if stamped:
            cut = block.rfind(b"\n\n") + 2
            seen.delays += [(now - int(stamp)) / 1e6 for stamp in STAMP.findall(block[:cut])]
            rest = block[cut:]
            seen.events -= rest.count(mark)
        else:
            rest = block[-len(mark) + 1 :]
        if block.endswith(b"0\r\n\r\n"):
            break
    seen.total = time.perf_counter() - began
    writer.close()
    return seen


class Rest:
    """A kept-alive connection for JSON requests."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> "Rest":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """The answer's body."""
        sent = b"" if body is None else json.dumps(body).encode()
        self.writer.write(request(self.port, method, path, sent))
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        found = await self.reader.readexactly(int(length[1]) if length else 0)
        if b" 200 " not in head[:20]:
            raise SystemExit(f"{method} {path}: {head[:60]!r} {found!r}")
        return found

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """The answer as JSON."""
        return json.loads(await self.raw(method, path, body))


def p50(values: list[float]) -> float:
    """The median."""
    return statistics.median(values) if values else float("nan")
