"""The floor: a byte pass-through proxy with no HTTP in it, and a bare ASGI app that returns the same bytes as GET run."""

import asyncio
import sys
from typing import Any, cast

RUN = b'{"id": "run_0123456789", "object": "thread.run", "filler": "' + b"x" * 1100 + b'"}'


class Pipe(asyncio.Protocol):
    """Bytes from one side to the other."""

    def __init__(self, other: "Pipe | None" = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.other is None:
            self.connecting = asyncio.ensure_future(self.connect())
        else:
            for data in self.other.waiting:
                self.transport.write(data)

    async def connect(self) -> None:
        self.other = Pipe(self)
        await asyncio.get_running_loop().create_connection(lambda: self.other, "127.0.0.1", int(sys.argv[2]))  # pyright: ignore[reportArgumentType]

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self.waiting.append(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def proxy(port: int) -> None:
    """Proxy until killed."""
    server = await asyncio.get_running_loop().create_server(Pipe, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The bare ASGI app."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(RUN))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": RUN})
    del receive


if __name__ == "__main__":
    if sys.argv[2] == "asgi":
        import uvicorn

        print("ready", flush=True)
        uvicorn.run(asgi, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
    else:
        import uvloop

        uvloop.run(proxy(int(sys.argv[1])))
