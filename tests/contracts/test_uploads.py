"""Uploads and their parts in every store."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_store import AnyStore, opened
from threadmill.domain.error import VersionConflict
from threadmill.domain.file import Blob, FilePurpose
from threadmill.domain.ids import FileId, ProjectId, UploadId, UploadPartId
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.upload import NewUpload, Upload, UploadPart, UploadStatus, begun
from threadmill.engine.ports.file_index import FileQueries
from threadmill.engine.ports.store import Delete, Insert, Scope, Update, WriteSet

P = ProjectId("p")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[AnyStore, None]:
    async with opened(request.param, tmp_path) as made:
        yield made


def queries(store: AnyStore) -> FileQueries:
    return getattr(store, "files", store)  # pyright: ignore[reportReturnType] - memory's store is its own index


def upload(number: int, at: int = 0) -> Upload:
    new = NewUpload("a", FilePurpose.BATCH, 10, "text/plain", 3600)
    return begun(new, UploadId(f"upload_{number}"), P, at, [])


def part(number: int, of: Upload) -> UploadPart:
    return UploadPart(UploadPartId(f"part_{number}"), P, number, of.id, Blob(f"key{number}", number))


async def apply(store: AnyStore, *rows: Upload | UploadPart) -> None:
    await store.apply(WriteSet(tuple(Insert(row) for row in rows)))


async def test_an_upload_and_its_parts_are_read_back_and_go_together(store: AnyStore) -> None:
    one, other = upload(1), upload(2)
    parts = [part(number, one) for number in (3, 1, 2)]
    await apply(store, one, other, *parts, part(4, other))
    assert await store.get(Upload, P, one.id) == one
    assert await store.get(Upload, ProjectId("q"), one.id) is None
    query = PageQuery(limit=10_000, order=Order.ASC)
    found = await store.page(UploadPart, Scope(P, upload_id=one.id), query)
    assert [row.id for row in found.items] == ["part_1", "part_2", "part_3"]
    keys = [f"key{number}" for number in range(6)]
    assert await queries(store).blobs_in_use(keys) == {"key1", "key2", "key3", "key4"}
    await store.apply(WriteSet((Delete(Upload, one.id),)))
    assert await queries(store).blobs_in_use(keys) == {"key4"}
    with pytest.raises(VersionConflict):
        await apply(store, part(5, one))


async def test_uploads_are_found_by_status_and_by_when_they_are_due(store: AnyStore) -> None:
    late, early = upload(1, at=500), upload(2, at=100)
    await apply(store, late, early)
    done = replace(late, status=UploadStatus.COMPLETED, file_id=FileId("file-1"), due_at=4_000, version=2)
    await store.apply(WriteSet((Update(done, 1),)))
    waiting = await store.page(Upload, Scope(P, status=UploadStatus.PENDING), PageQuery(limit=5))
    assert list(waiting.items) == [early]
    assert list(await queries(store).due_uploads(3_699, 9)) == []
    assert list(await queries(store).due_uploads(3_700, 9)) == [early]
    assert list(await queries(store).due_uploads(9_999, 9)) == [early, done]
    assert list(await queries(store).due_uploads(9_999, 1)) == [early]
