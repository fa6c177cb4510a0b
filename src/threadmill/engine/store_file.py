"""How a file's row comes to be, whether somebody uploaded it or code made it."""

from threadmill.domain.file import Blob, File, NewFile
from threadmill.domain.ids import ProjectId
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Insert, WriteSet


async def store_file(ports: Ports, project: ProjectId, new: NewFile, blob: Blob) -> File:
    """Store the row of a file whose blob is committed and still held by its writer."""
    now = ports.clock.now()
    expires_at = None if new.expires_after is None else now + new.expires_after
    file = File(ports.ids.file(), project, now, new.filename, new.purpose, blob, expires_at, new.origin)
    await ports.store.apply(WriteSet((Insert(file),)))
    return file
