"""Use cases of uploads: begin, add parts, complete, cancel, expire.

Rows are the whole state: whatever a crash interrupts is pending as before, and bytes no row names are swept.
"""

import asyncio
import hashlib
from collections.abc import Sequence

from threadmill.domain.error import InvalidRequest, no_upload
from threadmill.domain.file import Blob, File
from threadmill.domain.ids import ProjectId, UploadId, UploadPartId
from threadmill.domain.page import PageQuery
from threadmill.domain.upload import (
    MAX_PENDING,
    NewUpload,
    Upload,
    UploadPart,
    UploadStatus,
    begun,
    ended,
    ordered,
    require_pending,
    with_part,
)
from threadmill.engine.engine import Engine
from threadmill.engine.ports.blobs import BlobWriter
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Delete, Insert, Scope, Update, WriteSet
from threadmill.engine.storage.file_creation import open_blob_writer
from threadmill.engine.storage.retry import change
from threadmill.engine.storage.upload_end import end_upload, parts_of


async def create(engine: Engine, project: ProjectId, new: NewUpload) -> Upload:
    """A pending upload. Raises Conflict when the project has too many."""
    ports = engine.ports

    async def attempt() -> Upload:
        waiting = Scope(project, status=UploadStatus.PENDING)
        pending = await ports.store.page(Upload, waiting, PageQuery(limit=MAX_PENDING))
        upload = begun(new, ports.ids.upload(), project, ports.clock.now(), pending.items)
        await ports.store.apply(WriteSet((Insert(upload),)))
        return upload

    return await change(ports, (f"uploads of {project}",), attempt)


async def require(engine: Engine, project: ProjectId, upload_id: UploadId) -> Upload:
    """A pending upload. Raises NotFound, Conflict."""
    upload = await _found(engine.ports, project, upload_id)
    require_pending(upload, engine.ports.clock.now())
    return upload


async def _found(ports: Ports, project: ProjectId, upload_id: UploadId) -> Upload:
    upload = await ports.store.get(Upload, project, upload_id)
    if upload is None:
        raise no_upload(upload_id)
    return upload


async def add_part(engine: Engine, project: ProjectId, upload_id: UploadId, writer: BlobWriter) -> UploadPart:
    """What `writer` was given, as a part; call inside `open_blob_writer`. Raises NotFound, Conflict, Unavailable."""
    ports, blob = engine.ports, await writer.commit()

    async def attempt() -> UploadPart:
        upload = await require(engine, project, upload_id)
        part = UploadPart(ports.ids.upload_part(), project, ports.clock.now(), upload_id, blob)
        await ports.store.apply(WriteSet((Update(with_part(upload, part), upload.version), Insert(part))))
        return part

    return await change(ports, (upload_id,), attempt)


async def complete(
    engine: Engine, project: ProjectId, upload_id: UploadId, part_ids: Sequence[UploadPartId], md5: str | None
) -> tuple[Upload, File]:
    """The parts in this order become a file. Raises NotFound, Conflict, InvalidRequest, Unavailable."""
    ports = engine.ports

    async def attempt() -> tuple[Upload, File]:
        upload = await require(engine, project, upload_id)
        parts = await parts_of(ports, upload)
        chosen = ordered(upload, parts, part_ids)
        async with open_blob_writer(ports) as writer:
            await _join(ports, chosen, writer, md5)
            file = _file(ports, upload, await writer.commit())
            done = ended(upload, UploadStatus.COMPLETED, ports.clock.now(), file.id)
            gone = [Delete(UploadPart, part.id) for part in parts]
            await ports.store.apply(WriteSet((Insert(file), Update(done, upload.version), *gone)))
        for part in parts:
            await ports.blobs.remove(part.blob.key, ports.files.blobs_in_use)
        return done, file

    return await change(ports, (upload_id,), attempt)


async def _join(ports: Ports, parts: Sequence[UploadPart], writer: BlobWriter, md5: str | None) -> None:
    """Raises InvalidRequest when the bytes are not those that were meant."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        async for piece in ports.blobs.read(part.blob.key):
            if md5 is not None:
                await asyncio.to_thread(digest.update, piece)
            await writer.write(piece)
    if md5 is not None and digest.hexdigest() != md5.lower():
        text = f"The MD5 checksum of the parts is {digest.hexdigest()}, not the one given."
        raise InvalidRequest(text, param="md5", code="invalid_value")


def _file(ports: Ports, upload: Upload, blob: Blob) -> File:
    now, seconds = ports.clock.now(), upload.file_expires_after
    expires_at = None if seconds is None else now + seconds
    return File(ports.ids.file(), upload.project, now, upload.filename, upload.purpose, blob, expires_at)


async def cancel(engine: Engine, project: ProjectId, upload_id: UploadId) -> Upload:
    """No part is added any more; what came is deleted. Raises NotFound, Conflict."""

    async def attempt() -> Upload:
        return await end_upload(engine.ports, await require(engine, project, upload_id), UploadStatus.CANCELLED)

    return await change(engine.ports, (upload_id,), attempt)
