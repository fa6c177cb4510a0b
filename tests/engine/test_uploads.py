"""Uploads in the engine: parts become a file, and nothing is left over whatever becomes of an upload."""

import hashlib
from collections.abc import AsyncGenerator

import pytest

from tests.support.stage import PROJECT, Stage
from threadmill.adapters.memory.store import MemoryStore
from threadmill.domain.error import Conflict, InvalidRequest, NotFound
from threadmill.domain.file import File, FilePurpose
from threadmill.domain.ids import ProjectId
from threadmill.domain.upload import KEPT_SECONDS, UPLOAD_SECONDS, NewUpload, Upload, UploadPart, UploadStatus
from threadmill.engine.objects import files, uploads
from threadmill.engine.ports.store import Delete, WriteSet
from threadmill.engine.storage.file_creation import open_blob_writer
from threadmill.engine.storage.upload_end import end_due_uploads


@pytest.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    made = Stage(MemoryStore())
    yield made
    await made.worker.drain(0)


async def begin(stage: Stage, size: int = 6, **fields: int) -> Upload:
    new = NewUpload("a.txt", FilePurpose.USER_DATA, size, "text/plain", **fields)
    return await uploads.create(stage.engine, PROJECT, new)


async def add(stage: Stage, upload: Upload, content: bytes) -> UploadPart:
    async with open_blob_writer(stage.ports) as writer:
        await writer.write(content)
        return await uploads.add_part(stage.engine, PROJECT, upload.id, writer)


def blobs(stage: Stage) -> list[str]:
    return sorted(path.name for path in stage.directory.rglob("*") if path.is_file())


async def content_of(stage: Stage, file: File) -> bytes:
    _, content = await files.read(stage.engine, PROJECT, file.id)
    return b"".join([piece async for piece in content])


async def test_parts_in_the_order_asked_for_become_a_file_and_are_gone(stage: Stage) -> None:
    upload = await begin(stage, expires_after=3600)
    second, first, again = [await add(stage, upload, content) for content in (b"def", b"abc", b"abx")]
    stage.clock.at += 10
    md5 = hashlib.md5(b"abcdef", usedforsecurity=False).hexdigest().upper()
    done, file = await uploads.complete(stage.engine, PROJECT, upload.id, [first.id, second.id], md5)
    assert (done.status, done.file_id, done.received, done.parts) == (UploadStatus.COMPLETED, file.id, 9, 3)
    assert (file.filename, file.purpose, file.blob.size) == ("a.txt", FilePurpose.USER_DATA, 6)
    assert file.expires_at == stage.clock.at + 3600
    assert await content_of(stage, file) == b"abcdef"
    assert blobs(stage) == [file.blob.key]
    assert await stage.store.get(UploadPart, PROJECT, again.id) is None
    with pytest.raises(Conflict, match="is completed"):
        await add(stage, upload, b"x")
    assert blobs(stage) == [file.blob.key]


async def test_a_file_of_one_part_has_the_parts_bytes_which_stay(stage: Stage) -> None:
    upload = await begin(stage)
    part = await add(stage, upload, b"abcdef")
    _, file = await uploads.complete(stage.engine, PROJECT, upload.id, [part.id], None)
    assert file.blob.key == part.blob.key
    assert await content_of(stage, file) == b"abcdef"
    assert file.expires_at is None


async def test_a_wrong_checksum_leaves_the_upload_pending_and_its_parts(stage: Stage) -> None:
    upload = await begin(stage)
    parts = [(await add(stage, upload, content)).id for content in (b"abc", b"def")]
    before = blobs(stage)
    with pytest.raises(InvalidRequest, match="MD5"):
        await uploads.complete(stage.engine, PROJECT, upload.id, parts, "0" * 32)
    assert blobs(stage) == before
    _, file = await uploads.complete(stage.engine, PROJECT, upload.id, parts, None)
    assert await content_of(stage, file) == b"abcdef"


async def test_a_cancelled_upload_leaves_nothing(stage: Stage) -> None:
    upload = await begin(stage)
    await add(stage, upload, b"abc")
    assert (await uploads.cancel(stage.engine, PROJECT, upload.id)).status is UploadStatus.CANCELLED
    assert blobs(stage) == []
    with pytest.raises(Conflict, match="is cancelled"):
        await uploads.cancel(stage.engine, PROJECT, upload.id)


async def test_an_upload_expires_after_an_hour_and_is_forgotten_a_day_later(stage: Stage) -> None:
    upload = await begin(stage)
    part = await add(stage, upload, b"abc")
    stage.clock.at += UPLOAD_SECONDS
    with pytest.raises(Conflict, match="is expired"):
        await uploads.complete(stage.engine, PROJECT, upload.id, [part.id], None)
    await end_due_uploads(stage.ports, stage.clock.now(), stage.worker.unmovable)
    ended = await stage.store.get(Upload, PROJECT, upload.id)
    assert ended is not None
    assert (ended.status, blobs(stage)) == (UploadStatus.EXPIRED, [])
    stage.clock.at += KEPT_SECONDS
    await end_due_uploads(stage.ports, stage.clock.now(), stage.worker.unmovable)
    assert await stage.store.get(Upload, PROJECT, upload.id) is None


async def test_who_ends_an_upload_that_was_changed_meanwhile_lets_it_be(stage: Stage) -> None:
    upload = await begin(stage)
    stage.clock.at += UPLOAD_SECONDS
    reads = stage.store.page

    async def late(*args: object) -> object:
        stage.store.page = reads
        await stage.store.apply(WriteSet((Delete(Upload, upload.id),)))
        return await reads(*args)

    stage.store.page = late
    await end_due_uploads(stage.ports, stage.clock.now(), stage.worker.unmovable)
    assert await stage.store.get(Upload, PROJECT, upload.id) is None


async def test_another_projects_upload_is_none(stage: Stage) -> None:
    upload = await begin(stage)
    with pytest.raises(NotFound, match=f"No such Upload object: {upload.id}"):
        await uploads.cancel(stage.engine, ProjectId("other"), upload.id)


async def test_what_a_crash_left_of_a_completion_is_swept(stage: Stage) -> None:
    upload = await begin(stage)
    part = await add(stage, upload, b"abc")
    async with stage.blobs.writer() as writer:  # the joined bytes, whose rows were never stored
        await writer.write(b"abcdef")
        await writer.commit()
    assert len(blobs(stage)) == 2
    await stage.blobs.sweep(stage.ports.files.blobs_in_use)
    assert blobs(stage) == [part.blob.key]
