"""How an upload ends without a file: its parts go, and after a while its row."""

from collections.abc import Sequence
from contextlib import suppress

from threadmill.domain.error import VersionConflict
from threadmill.domain.ids import Instant
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.upload import MAX_PARTS, Upload, UploadPart, UploadStatus, ended
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Delete, Scope, Update, WriteSet
from threadmill.engine.storage.unmovable import Unmovable

BATCH = 100
"""Uploads looked at in one sweep."""


async def parts_of(ports: Ports, upload: Upload) -> Sequence[UploadPart]:
    """All it has taken, oldest first."""
    query = PageQuery(limit=MAX_PARTS, order=Order.ASC)
    return (await ports.store.page(UploadPart, Scope(upload.project, upload_id=upload.id), query)).items


async def end_upload(ports: Ports, upload: Upload, status: UploadStatus) -> Upload:
    """The upload at its end; its parts are deleted, rows first. Raises VersionConflict."""
    parts = await parts_of(ports, upload)
    done = ended(upload, status, ports.clock.now())
    gone = [Delete(UploadPart, part.id) for part in parts]
    await ports.store.apply(WriteSet((Update(done, upload.version), *gone)))
    for part in parts:
        await ports.blobs.remove(part.blob.key, ports.files.blobs_in_use)
    return done


async def end_due_uploads(ports: Ports, at: Instant, unmovable: Unmovable) -> None:
    """Pending uploads whose time is over expire; what has ended long ago is forgotten. Raises Unavailable."""
    for upload in await ports.files.due_uploads(at, BATCH + len(unmovable)):
        await unmovable.attempt(f"upload {upload.id} could not be ended", upload.id, _end_due(ports, upload))


async def _end_due(ports: Ports, upload: Upload) -> None:
    with suppress(VersionConflict):  # somebody else was faster
        if upload.status is UploadStatus.PENDING:
            await end_upload(ports, upload, UploadStatus.EXPIRED)
        else:
            await ports.store.apply(WriteSet((Delete(Upload, upload.id),)))
