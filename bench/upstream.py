"""The fake upstream: pre-encoded Chat Completions over a bare asyncio protocol. The model's name says how it answers.

`burst-N`: N chunks as fast as the peer reads. `paced-N-MS`: N chunks, one each MS milliseconds, carrying the time.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FILL = "x" * 120
BEGINNING = 4_096
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
MODEL = re.compile(rb'"model": ?"([^"]+)"')


def chunk(content: str) -> bytes:
    """One event of about 330 bytes, as OpenAI sends them."""
    choice = {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": None}
    body = {
        "id": "chatcmpl-BenchBenchBenchBenchBenchBen",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [choice],
        "obfuscation": FILL[:40],
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def framed(data: bytes) -> bytes:
    """As one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


END = (
    framed(
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}\n\ndata: [DONE]\n\n'
    )
    + b"0\r\n\r\n"
)
ONE = framed(chunk(" word"))
BLOCK = ONE * 64


class Upstream(asyncio.Protocol):
    """One connection, one request after the other."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.missing = 0
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """Nothing is kept of a body but its beginning, where the model's name stands: other streams must not wait for it."""
        if self.missing:
            self.missing -= len(data)
            self.received += data[: max(0, BEGINNING - len(self.received))]
        else:
            self.received += data
            head, ended, body = self.received.partition(b"\r\n\r\n")
            if not ended:
                return
            length = LENGTH.search(head)
            self.missing = (int(length[1]) if length else 0) - len(body)
        if self.missing <= 0:
            found = MODEL.search(self.received)
            model = found[1].decode() if found else "burst-1"
            self.received.clear()
            self.missing = 0
            self.answering = asyncio.ensure_future(self.answer(model.split("-")))

    async def answer(self, how: list[str]) -> None:
        self.transport.write(HEAD)
        count = int(how[1])
        if how[0] == "burst":
            while count >= 64 and not self.transport.is_closing():
                self.transport.write(BLOCK)
                await self.writable.wait()
                count -= 64
            self.transport.write(ONE * count)
        else:
            start, step = asyncio.get_running_loop().time(), int(how[2]) / 1000
            for number in range(count):
                await asyncio.sleep(max(0, start + (number + 1) * step - asyncio.get_running_loop().time()))
                self.transport.write(framed(chunk(f" {time.monotonic_ns()}")))
        self.transport.write(END)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
