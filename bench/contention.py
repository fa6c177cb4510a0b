"""Measure of 64 clients that change one object, without retries: none may fail. `python -m bench.contention`."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bench.load import request
from bench.upload import PORT, served

CLIENTS = 64
CHANGES = 300
BATCH = 500
Row = tuple[str, str, str, bool]


@dataclass
class Crowd:
    """What a crowd was answered."""

    seconds: float = 0.0
    statuses: list[int] = field(default_factory=list[int])

    @property
    def failed(self) -> int:
        """Answers that were no success."""
        return sum(status != 200 for status in self.statuses)


class Client:
    """A kept-alive connection that takes any answer."""

    async def __aenter__(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", PORT)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, method: str, path: str, body: Any = None, content_type: str = "") -> tuple[int, Any]:
        """Status and body of the answer."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        head = request(PORT, method, path, sent)
        if content_type:
            head = head.replace(b"application/json", content_type.encode(), 1)
        self._writer.write(head)
        answer, found = await self._answer()
        return int(answer.split(b" ", 2)[1]), json.loads(found)

    async def polled(self, path: str) -> float:
        """Seconds after which the answer to a GET wants to be asked for again."""
        self._writer.write(request(PORT, "GET", path))
        answer, _ = await self._answer()
        after = re.search(rb"openai-poll-after-ms: (\d+)", answer, re.IGNORECASE)
        return int(after[1]) / 1000 if after else 1.0

    async def _answer(self) -> tuple[bytes, bytes]:
        """Head and body."""
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        return answer, await self._reader.readexactly(int(length[1]) if length else 0)

    async def made(self, path: str, body: Any) -> str:
        """The id of a new object."""
        status, found = await self.send("POST", path, body)
        assert status == 200, found
        return found["id"]


async def uploaded(names: list[str]) -> list[str]:
    """Ids of small text files."""
    form = (
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b\r\nContent-Disposition: form-data; '
        'name="file"; filename="{0}.txt"\r\n\r\nThis is the text of {0}.\r\n--b--\r\n'
    )
    found: list[str] = []
    async with Client() as client:
        for name in names:
            body = form.format(name).encode()
            _, file = await client.send("POST", "/v1/files", body, "multipart/form-data; boundary=b")
            found.append(file["id"])
    return found


async def crowd(paths: list[tuple[str, Any]]) -> Crowd:
    """All requests, by CLIENTS clients, each with a connection of its own."""
    seen, waiting = Crowd(), iter(paths)

    async def client() -> None:
        async with Client() as one:
            for path, body in waiting:
                seen.statuses.append((await one.send("POST", path, body))[0])

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(min(CLIENTS, len(paths)))))
    seen.seconds = time.perf_counter() - began
    return seen


async def modified(kind: str) -> Crowd:
    """One assistant, thread, message or vector store, changed over and over."""
    async with Client() as client:
        thread = await client.made("/v1/threads", {})
        path = {
            "assistant": "/v1/assistants/" + await client.made("/v1/assistants", {"model": "rehearsal"}),
            "thread": f"/v1/threads/{thread}",
            "message": f"/v1/threads/{thread}/messages/"
            + await client.made(f"/v1/threads/{thread}/messages", {"role": "user", "content": "x"}),
            "vector store": "/v1/vector_stores/" + await client.made("/v1/vector_stores", {}),
        }[kind]
    return await crowd([(path, {"metadata": {"k": str(number)}}) for number in range(CHANGES)])


async def added() -> Crowd:
    """Files put singly into one store, which reads them meanwhile."""
    files = await uploaded([f"single-{number}" for number in range(CHANGES)])
    async with Client() as client:
        store = await client.made("/v1/vector_stores", {})
        seen = await crowd([(f"/v1/vector_stores/{store}/files", {"file_id": one}) for one in files])
        _, found = await client.send("GET", f"/v1/vector_stores/{store}")
    assert found["file_counts"]["total"] == CHANGES - seen.failed, found["file_counts"]
    return seen


async def batched() -> Crowd:
    """A batch of files while the batch before is being read."""
    files = await uploaded([f"batch-{number}" for number in range(2 * BATCH)])
    async with Client() as client:
        store = await client.made("/v1/vector_stores", {})
    path = f"/v1/vector_stores/{store}/file_batches"
    first = await crowd([(path, {"file_ids": files[:BATCH]})])
    second = await crowd([(path, {"file_ids": files[BATCH:]})])
    return Crowd(first.seconds + second.seconds, first.statuses + second.statuses)


async def attached() -> Crowd:
    """Messages with a file to search on one thread."""
    files = await uploaded([f"attached-{number}" for number in range(60)])
    async with Client() as client:
        thread = await client.made("/v1/threads", {})
    tools = [{"type": "file_search"}]
    said = [{"role": "user", "content": "x", "attachments": [{"file_id": one, "tools": tools}]} for one in files]
    return await crowd([(f"/v1/threads/{thread}/messages", one) for one in said])


MEASURES: dict[str, Callable[[], Awaitable[Crowd]]] = {
    **{
        f"{CHANGES} changes of one {kind}": lambda kind=kind: modified(kind)
        for kind in ("assistant", "thread", "message", "vector store")
    },
    f"{CHANGES} files put singly into one vector store": added,
    f"2 batches of {BATCH} files, the second while the first is read": batched,
    "60 messages with a file to search on one thread": attached,
}


def rows() -> list[Row]:
    """A row for each kind of object: failures, and changes a second."""

    async def all_of_them() -> list[Row]:
        found: list[Row] = []
        for name, measure in MEASURES.items():
            seen = await measure()
            speed = (len(seen.statuses) - seen.failed) / seen.seconds
            found.append(
                (f"{CLIENTS} clients: {name}", f"{seen.failed} failed, {speed:.0f}/s", "0 failed", not seen.failed)
            )
        return found

    with served({}):
        return asyncio.run(all_of_them())


if __name__ == "__main__":
    for what, shown, demanded, met in rows():
        print(f"{'  ' if met else '!!'} {what}: {shown} ({demanded})")
