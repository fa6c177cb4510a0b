"""What every implementation of the Blobs port keeps: the disk's, and the one on an S3-compatible store."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from tests.support.bucket import S3Server, fresh
from threadmill.adapters.blobs.disk import DiskBlobs
from threadmill.adapters.blobs.s3 import PART_SIZE, S3Blobs
from threadmill.adapters.system.troubles import LoggedTroubles
from threadmill.domain.file import Blob
from threadmill.engine.ports.blobs import BlobLost, Blobs, InUse

SIZES = (0, 1, 2**20 - 1, 2**20, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE, 2 * PART_SIZE + 12_345)


class Kept:
    """One implementation, and a look at what it holds."""

    def __init__(self, blobs: Blobs, directory: Path, s3: S3Server | None) -> None:
        self.blobs = blobs
        self._directory = directory
        self._s3 = s3

    async def everything(self) -> list[str]:
        """Whatever lies there, blobs or not."""
        if self._s3 is not None:
            return await self._s3.everything()
        return [str(path.relative_to(self._directory)) for path in self._directory.rglob("*") if path.is_file()]

    async def write(self, data: bytes, step: int = 2**18) -> Blob:
        """A blob made of pieces of `step` bytes."""
        async with self.blobs.writer() as writer:
            for at in range(0, len(data), step):
                await writer.write(data[at : at + step])
            return await writer.commit()

    async def read(self, key: str) -> bytes:
        """All of a blob."""
        return b"".join([piece async for piece in self.blobs.read(key)])


@pytest.fixture(params=["disk", "s3"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Kept]:
    async with AsyncExitStack() as stack:
        if request.param == "disk":
            yield Kept(DiskBlobs(tmp_path, LoggedTroubles()), tmp_path, None)
        else:
            s3 = await fresh(request.getfixturevalue("s3_url"))
            bucket = await stack.enter_async_context(s3.opened("some/prefix"))
            yield Kept(S3Blobs(bucket, grace_seconds=0), tmp_path, s3)


def used(*keys: str) -> InUse:
    """What the store would say if files had these blobs."""

    async def in_use(asked: Sequence[str]) -> frozenset[str]:
        return frozenset(asked) & frozenset(keys)

    return in_use


def bytes_of(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_comes_back_byte_for_byte_under_the_hash_of_its_content(kept: Kept, size: int) -> None:
    data = bytes_of(size)
    blob = await kept.write(data)
    assert blob == Blob(hashlib.sha256(data).hexdigest(), size)
    pieces = [piece async for piece in kept.blobs.read(blob.key)]
    assert b"".join(pieces) == data
    assert max((len(piece) for piece in pieces), default=0) <= 2**20
    assert len(await kept.everything()) == 1


async def test_bytes_given_all_at_once_are_taken_too(kept: Kept) -> None:
    data = bytes_of(3 * PART_SIZE + 7)
    blob = await kept.write(data, step=len(data))
    assert blob.size == len(data)
    assert await kept.read(blob.key) == data


async def test_equal_contents_share_one_blob(kept: Kept) -> None:
    data = bytes_of(PART_SIZE + 1)
    assert await kept.write(data) == await kept.write(data)
    assert len(await kept.everything()) == 1


async def test_equal_contents_written_at_once_share_one_blob(kept: Kept) -> None:
    data = bytes_of(PART_SIZE + 1)
    blobs = await asyncio.gather(*(kept.write(data) for _ in range(4)))
    assert len(set(blobs)) == 1
    assert len(await kept.everything()) == 1
    assert await kept.read(blobs[0].key) == data


@pytest.mark.parametrize("size", [0, 1, PART_SIZE + 1])
async def test_a_writer_left_without_commit_leaves_nothing(kept: Kept, size: int) -> None:
    async with kept.blobs.writer() as writer:
        await writer.write(bytes_of(size))
    assert await kept.everything() == []


async def test_an_upload_that_fails_or_is_cancelled_half_way_leaves_nothing(kept: Kept) -> None:
    with pytest.raises(ZeroDivisionError):
        async with kept.blobs.writer() as writer:
            await writer.write(bytes_of(PART_SIZE + 1))
            raise ZeroDivisionError
    begun = asyncio.Event()

    async def upload() -> None:
        async with kept.blobs.writer() as writer:
            await writer.write(bytes_of(PART_SIZE + 1))
            begun.set()
            await asyncio.Event().wait()

    cut = asyncio.create_task(upload())
    await begun.wait()
    assert await kept.everything()
    cut.cancel()
    await asyncio.wait([cut])
    assert await kept.everything() == []


async def test_a_blob_that_is_lost_is_told(kept: Kept) -> None:
    with pytest.raises(BlobLost, match="The content of this file is lost"):
        await kept.read("ab" * 32)


async def test_a_reader_that_stops_half_way_disturbs_nobody(kept: Kept) -> None:
    blob = await kept.write(bytes_of(2 * PART_SIZE))
    for _ in range(20):
        async with aclosing(kept.blobs.read(blob.key)) as pieces:
            assert await anext(pieces)
    assert await kept.read(blob.key) == bytes_of(2 * PART_SIZE)


async def test_a_blob_is_removed_unless_a_file_has_it(kept: Kept) -> None:
    blob = await kept.write(b"x")
    await kept.blobs.remove(blob.key, used(blob.key))
    assert await kept.read(blob.key) == b"x"
    await kept.blobs.remove(blob.key, used())
    assert await kept.everything() == []
    await kept.blobs.remove(blob.key, used())


async def test_a_blob_stays_until_its_writer_is_left_used_or_not(kept: Kept) -> None:
    async with kept.blobs.writer() as writer:
        await writer.write(b"x")
        blob = await writer.commit()
        await kept.blobs.remove(blob.key, used())
        assert await kept.read(blob.key) == b"x"
    await kept.blobs.remove(blob.key, used())
    assert await kept.everything() == []


async def test_a_blob_written_again_while_it_is_removed_stays(kept: Kept) -> None:
    data = bytes_of(PART_SIZE + 1)
    blob = await kept.write(data)
    rows: set[str] = set()

    async def again() -> None:
        async with kept.blobs.writer() as writer:
            await writer.write(data)
            rows.add((await writer.commit()).key)

    async def in_use(asked: Sequence[str]) -> frozenset[str]:
        return frozenset(asked) & frozenset(rows)

    for _ in range(10):
        await asyncio.gather(again(), kept.blobs.remove(blob.key, in_use), kept.blobs.remove(blob.key, in_use))
        assert await kept.read(blob.key) == data
        rows.clear()
    await kept.blobs.remove(blob.key, in_use)
    assert await kept.everything() == []


async def test_a_sweep_removes_what_no_file_has_and_says_how_much(kept: Kept) -> None:
    mine, _ = await kept.write(b"mine"), await kept.write(b"nobody's")
    assert await kept.blobs.sweep(used(mine.key)) == 1
    assert await kept.blobs.sweep(used(mine.key)) == 0
    assert await kept.read(mine.key) == b"mine"
    assert len(await kept.everything()) == 1


async def test_a_sweep_asks_about_many_blobs_in_few_questions(kept: Kept) -> None:
    blobs = [await kept.write(str(number).encode()) for number in range(12)]
    asked: list[int] = []

    async def in_use(keys: Sequence[str]) -> frozenset[str]:
        asked.append(len(keys))
        return frozenset(keys)

    assert await kept.blobs.sweep(in_use) == 0
    assert asked == [len(blobs)]
