"""How a file's row comes to be, whether somebody uploaded it or code made it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from threadmill.domain.error import ThreadmillError
from threadmill.domain.file import Blob, File, NewFile
from threadmill.domain.ids import ProjectId
from threadmill.engine.ports.blobs import BlobWriter
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Insert, WriteSet


class _RecordingWriter:
    """A BlobWriter that remembers what it committed."""

    def __init__(self, writer: BlobWriter) -> None:
        self._writer: BlobWriter = writer
        self.blob: Blob | None = None

    async def write(self, data: bytes) -> None:
        """See the port."""
        await self._writer.write(data)

    async def commit(self) -> Blob:
        """See the port."""
        self.blob = await self._writer.commit()
        return self.blob


@asynccontextmanager
async def open_blob_writer(ports: Ports) -> AsyncGenerator[BlobWriter]:
    """A writer of a file's bytes; store the file inside. When that is refused, the bytes do not stay. Raises Unavailable."""
    noting: _RecordingWriter | None = None
    try:
        async with ports.blobs.writer() as writer:
            noting = _RecordingWriter(writer)
            yield noting
    except ThreadmillError:  # what is cancelled may yet be stored, so its bytes are left to the sweep
        if noting is not None and noting.blob is not None:
            await ports.blobs.remove(noting.blob.key, ports.files.blobs_in_use)
        raise


async def create_file(ports: Ports, project: ProjectId, new: NewFile, blob: Blob) -> File:
    """Store the row of a file whose blob is committed and still held by its writer."""
    now = ports.clock.now()
    expires_at = None if new.expires_after is None else now + new.expires_after
    file = File(ports.ids.file(), project, now, new.filename, new.purpose, blob, expires_at, new.origin)
    await ports.store.apply(WriteSet((Insert(file),)))
    return file
