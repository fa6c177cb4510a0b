"""Files in a bucket that several servers share: what one writes no other removes, what one left another sweeps."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from tests.support.bucket import S3Server, front
from threadmill.adapters.blobs import s3 as module
from threadmill.adapters.blobs.bucket import Bucket, open_bucket
from threadmill.adapters.blobs.s3 import PART_SIZE, S3Blobs, blob_name
from threadmill.domain.error import Unavailable

KEY = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
"""Of `x`."""


@pytest.fixture
async def buckets(s3: S3Server) -> AsyncGenerator[tuple[Bucket, Bucket]]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(s3.opened()), await stack.enter_async_context(s3.opened())


async def nobody(keys: Sequence[str]) -> frozenset[str]:
    return frozenset()


async def write(blobs: S3Blobs, data: bytes = b"x") -> str:
    async with blobs.writer() as writer:
        await writer.write(data)
        return (await writer.commit()).key


async def all_of(blobs: S3Blobs, key: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(key)])


async def test_a_server_that_writes_what_another_is_removing_waits_and_writes_it_again(
    buckets: tuple[Bucket, Bucket], s3: S3Server
) -> None:
    one, other = map(S3Blobs, buckets)
    key = await write(one)
    writing: list[asyncio.Task[str]] = []

    async def asked_while_the_other_begins(keys: Sequence[str]) -> frozenset[str]:
        if any(name.startswith("doomed/") for name in await s3.everything()) and not writing:
            writing.append(asyncio.create_task(write(other)))
            while not any(name.startswith("pins/") for name in await s3.everything()):
                pass
        return frozenset()

    await one.remove(key, asked_while_the_other_begins)
    assert await writing[0] == key
    assert await all_of(one, key) == b"x"
    assert await s3.everything() == [blob_name(key)]


async def test_a_server_does_not_remove_what_another_has_written_but_not_yet_stored_as_a_file(
    buckets: tuple[Bucket, Bucket],
) -> None:
    one, other = S3Blobs(buckets[0]), S3Blobs(buckets[1], grace_seconds=3600)
    async with one.writer() as writer:
        await writer.write(b"x")
        key = (await writer.commit()).key
        await other.remove(key, nobody)
        assert await other.sweep(nobody) == 0
        assert await all_of(other, key) == b"x"


async def test_a_sweep_leaves_what_is_young_and_takes_it_when_it_is_old(
    buckets: tuple[Bucket, Bucket], s3: S3Server
) -> None:
    await write(S3Blobs(buckets[0]))
    for name in ("incoming/joined", f"pins/{KEY}/a", f"doomed/{KEY}/b"):
        await buckets[0].put(name)
    before = await s3.everything()
    assert await S3Blobs(buckets[1], grace_seconds=3600).sweep(nobody) == 0
    assert await s3.everything() == before
    assert await S3Blobs(buckets[1], grace_seconds=0).sweep(nobody) == 4
    assert await s3.everything() == []


def uploads(*begun: tuple[str, datetime]) -> web.Response:
    """A list of uploads in parts; the local server says of each that it is from 2010."""
    lines = [
        f"<Upload><Key>{key}</Key><UploadId>{key}</UploadId><Initiated>{at.isoformat()}</Initiated></Upload>"
        for key, at in begun
    ]
    text = f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{''.join(lines)}</ListMultipartUploadsResult>"
    return web.Response(text=text, content_type="application/xml")


async def test_a_sweep_ends_old_uploads_in_parts_and_leaves_those_that_may_still_go_on(s3: S3Server) -> None:
    now, ended = datetime.now(UTC), list[str]()  # noqa: TID251 - the store speaks of real time

    def instead(request: web.Request) -> web.Response | None:
        if request.method == "DELETE":
            ended.append(request.path)
        if request.method == "GET" and "uploads" in request.query:
            return uploads(("incoming/old", now - timedelta(hours=2)), ("incoming/young", now - timedelta(minutes=30)))
        return None

    async with front(s3.url, instead) as url, open_bucket(replace(s3.place, endpoint=url)) as bucket:
        assert await S3Blobs(bucket, grace_seconds=3600).sweep(nobody) == 1
    assert ended == ["/files/incoming/old"]


async def test_a_sweep_touches_nothing_outside_its_prefix(s3: S3Server) -> None:
    async with s3.opened() as outside, s3.opened("mine") as inside:
        await outside.put("blobs/ab/foreign")
        await outside.put("mine-too/blobs/ab/foreign")
        await (await outside.begin_upload("incoming/foreign")).add_part(bytes(PART_SIZE))
        before = await s3.everything()
        await write(S3Blobs(inside))
        assert await S3Blobs(inside, grace_seconds=0).sweep(nobody) == 1
        assert await s3.everything() == before


async def test_a_removal_that_never_ends_does_not_hold_an_upload_forever(
    buckets: tuple[Bucket, Bucket], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await buckets[0].put(f"doomed/{KEY}/of a server that died")
    monkeypatch.setattr(module, "DELETE_TIMEOUT", 0)
    with pytest.raises(Unavailable, match="please try again"):
        await write(S3Blobs(buckets[1]))
    assert len(await s3.everything()) == 1
    monkeypatch.setattr(module, "STALE_MARK_SECONDS", 0)
    assert await write(S3Blobs(buckets[1])) == KEY


async def test_a_removal_that_took_too_long_is_given_up(
    buckets: tuple[Bucket, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = S3Blobs(buckets[0])
    key = await write(blobs)
    monkeypatch.setattr(module, "DELETE_TIMEOUT", -1)
    await blobs.remove(key, nobody)
    assert await all_of(blobs, key) == b"x"


async def test_a_blob_of_another_size_than_its_content_is_written_again(buckets: tuple[Bucket, Bucket]) -> None:
    await buckets[0].put(blob_name(KEY), b"damaged")
    blobs = S3Blobs(buckets[0])
    assert await write(blobs) == KEY
    assert await all_of(blobs, KEY) == b"x"
