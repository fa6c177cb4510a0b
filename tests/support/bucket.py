"""A store that speaks S3's protocol, in this process."""

import io
import re
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import aiohttp
from aiohttp import web

from threadmill.adapters.blobs.bucket import Bucket, BucketConfig, open_bucket

NAME = "files"
KEY = re.compile("<Key>(.*?)</Key>")


@dataclass(frozen=True)
class S3Server:
    """One that runs; `place` is a fresh bucket in it."""

    url: str
    place: BucketConfig

    @asynccontextmanager
    async def opened(self, prefix: str = "") -> AsyncGenerator[Bucket]:
        """The bucket, as one server process has it."""
        async with open_bucket(replace(self.place, prefix=prefix)) as bucket:
            yield bucket

    async def everything(self) -> list[str]:
        """The names of all objects and, with a `?`, of all uploads in parts nobody ended."""
        objects = await self.ask("GET", f"/{NAME}?list-type=2")
        return KEY.findall(objects) + ["?" + key for key in KEY.findall(await self.ask("GET", f"/{NAME}?uploads"))]

    async def ask(self, method: str, path: str, data: bytes = b"") -> str:
        """A request past the client; the server asks for no signature unless told to."""
        async with aiohttp.request(method, f"{self.url}{path}", data=data) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return text


@contextmanager
def s3_server() -> Generator[str]:
    """Its URL; empty."""
    from moto.server import ThreadedMotoServer  # a second of imports, for those who ask for it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


async def fresh(url: str) -> S3Server:
    """Everything forgotten, a bucket made."""
    place = BucketConfig(NAME, endpoint=url, access_key_id="test-key", secret_access_key="test-secret")
    server = S3Server(url, place)
    await server.ask("POST", "/moto-api/reset")
    await server.ask("PUT", f"/{NAME}")
    return server


Answer = Callable[[web.Request], web.Response | None]


@asynccontextmanager
async def front(url: str, instead: Answer) -> AsyncGenerator[str]:
    """Stands before the store and answers `instead`, where that has an answer."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            data = await request.read()
            if (answer := instead(request)) is not None:
                return answer
            target = url + request.raw_path
            async with session.request(request.method, target, data=io.BytesIO(data), headers=request.headers) as got:
                return web.Response(status=got.status, body=await got.read(), headers=got.headers)

        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{rest:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
