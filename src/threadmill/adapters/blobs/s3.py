"""The Blobs port on a bucket that several servers of one database may share: content-addressed, nothing half-written.

`blobs/ab/<sha256>` holds the bytes; `incoming/` what is being written in parts. Equal contents share one blob, so two
servers must not remove and write one at once. Marks, empty objects, settle it: a writer puts `pins/<key>/` before it
looks for `doomed/<key>/`, a remover puts `doomed/<key>/` before it looks for pins. The store is strongly consistent, so at
least one sees the other: the remover then gives up, the writer waits.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from threadmill.adapters.blobs.bucket import MISSING_CODES, Bucket, BucketError, MultipartUpload, ObjectInfo
from threadmill.domain.error import Unavailable
from threadmill.domain.file import Blob
from threadmill.engine.ports.blobs import BlobLost, InUse

LOG = logging.getLogger("threadmill")

PART_SIZE = 5 * 1024 * 1024
"""Bytes of one part, the least S3 takes; what a writer holds in memory at most twice."""

DEFAULT_GRACE = 24 * 60 * 60.0
"""Seconds after which what an upload left is surely nobody's any more."""

DELETE_TIMEOUT = 60.0
"""Seconds a removal may take until it is given up."""

STALE_MARK_SECONDS = 10 * DELETE_TIMEOUT
"""Seconds after which a `doomed` mark is that of a server that died."""

POLL_SECONDS = 0.1
"""Seconds between two looks of a writer that waits for a removal."""


class S3Blobs:
    """See the port."""

    def __init__(self, bucket: Bucket, grace_seconds: float = DEFAULT_GRACE) -> None:
        self._bucket: Bucket = bucket
        self._grace: float = grace_seconds

    @asynccontextmanager
    async def writer(self) -> AsyncGenerator["S3Writer"]:
        """See the port."""
        writer = S3Writer(self._bucket)
        try:
            yield writer
        finally:
            await writer.close()

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """See the port."""
        try:
            async with aclosing(self._bucket.read(blob_name(key))) as pieces:
                async for piece in pieces:
                    yield piece
        except BucketError as error:
            if error.reason in MISSING_CODES:
                raise BlobLost("The content of this file is lost: the storage does not have it.") from error
            raise

    async def remove(self, key: str, in_use: InUse) -> None:
        """See the port."""
        if key in await in_use((key,)):
            return
        try:
            await self._remove(key, in_use)
        except Unavailable as error:
            LOG.warning("The bytes of a deleted file stay until the next sweep: %s", error.message)

    async def _remove(self, key: str, in_use: InUse) -> bool:
        mark, clock = f"doomed/{key}/{secrets.token_hex(8)}", asyncio.get_running_loop().time
        until = clock() + DELETE_TIMEOUT
        await self._bucket.put(mark)
        try:
            # In this order: who unpins has stored the file's row before.
            free = not await list_marks(self._bucket, f"pins/{key}") and key not in await in_use((key,))
            if free and clock() < until:
                await self._bucket.delete(blob_name(key))
                return True
            return False
        finally:
            await self._bucket.delete(mark)

    async def sweep(self, in_use: InUse) -> int:
        """See the port. What is younger than the grace stays: another server may be writing it."""
        removed = 0
        for parts in await self._bucket.incomplete_uploads("incoming", self._grace):
            await parts.abort()
            removed += 1
        for folder in ("incoming", "pins", "doomed"):
            async for page in self._bucket.pages(folder):
                for one in self._past_grace(page):
                    await self._bucket.delete(one.name)
                    removed += 1
        async for page in self._bucket.pages("blobs"):
            removed += await self._sweep([one.name.rpartition("/")[2] for one in self._past_grace(page)], in_use)
        return removed

    def _past_grace(self, page: list[ObjectInfo]) -> list[ObjectInfo]:
        return [one for one in page if one.age >= self._grace]

    async def _sweep(self, keys: list[str], in_use: InUse) -> int:
        used = await in_use(keys)
        return sum([await self._remove(key, in_use) for key in keys if key not in used])


class S3Writer:
    """See the port `BlobWriter`. What fits into one part is sent at the end, under its own name at once."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket: Bucket = bucket
        self._token: str = secrets.token_hex(16)
        self._hash = hashlib.sha256()
        self._size: int = 0
        self._buffer: bytearray = bytearray()
        self._upload: MultipartUpload | None = None
        self._pin: str | None = None

    @property
    def _incoming(self) -> str:
        return f"incoming/{self._token}"

    async def write(self, data: bytes) -> None:
        """See the port."""
        self._buffer += data
        while len(self._buffer) >= PART_SIZE:
            if self._upload is None:
                self._upload = await self._bucket.begin_upload(self._incoming)
            await self._upload.add_part(await self._next_part())

    async def _next_part(self) -> bytes:
        """The next part's bytes, hashed."""
        with memoryview(self._buffer) as view:
            part = bytes(view[:PART_SIZE])
        del self._buffer[:PART_SIZE]
        self._size += len(part)
        await asyncio.to_thread(self._hash.update, part)
        return part

    async def commit(self) -> Blob:
        """See the port."""
        last = await self._next_part()
        blob = Blob(self._hash.hexdigest(), self._size)
        await self._pin_blob(blob.key)
        if await self._bucket.size(blob_name(blob.key)) != blob.size:
            await self._store(blob_name(blob.key), last)
        return blob

    async def _pin_blob(self, key: str) -> None:
        """Nobody removes the blob from here on. Raises Unavailable when a removal does not end."""
        self._pin = f"pins/{key}/{self._token}"
        await self._bucket.put(self._pin)
        clock = asyncio.get_running_loop().time
        until = clock() + DELETE_TIMEOUT
        while any(one.age < STALE_MARK_SECONDS for one in await list_marks(self._bucket, f"doomed/{key}")):
            if clock() > until:
                raise Unavailable("A file of the same content is being removed; please try again.")
            await asyncio.sleep(POLL_SECONDS)

    async def _store(self, name: str, last: bytes) -> None:
        if self._upload is None:
            await self._bucket.put(name, last)
            return
        if last:
            await self._upload.add_part(last)
        await self._upload.complete()
        await self._bucket.copy(self._incoming, name)

    async def close(self) -> None:
        """Leave nothing behind but the blob; what cannot be removed now is swept later."""
        try:
            if self._upload is not None:
                await self._upload.abort()
                await self._bucket.delete(self._incoming)
            if self._pin is not None:
                await self._bucket.delete(self._pin)
        except Unavailable as error:
            LOG.warning("What an upload left stays until it is swept: %s", error.message)


def blob_name(key: str) -> str:
    """Where a blob's bytes lie."""
    return f"blobs/{key[:2]}/{key}"


async def list_marks(bucket: Bucket, folder: str) -> list[ObjectInfo]:
    """The empty objects that say what is going on with a blob."""
    return [one async for page in bucket.pages(folder) for one in page]
