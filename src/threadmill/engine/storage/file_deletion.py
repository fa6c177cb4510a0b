"""How a file goes: out of every tool's resources and out of the store in one transaction, then its bytes."""

from contextlib import suppress
from dataclasses import replace

from threadmill.domain.assistant import Assistant
from threadmill.domain.error import NotFound, VersionConflict, no_file
from threadmill.domain.file import File
from threadmill.domain.ids import FileId, Instant
from threadmill.domain.thread import Thread
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Delete, Update, WriteSet
from threadmill.engine.storage.retry import change
from threadmill.engine.storage.store_file_removal import remove_if_present
from threadmill.engine.storage.unmovable import Unmovable

BATCH = 100
"""Expired files deleted in one sweep."""


async def delete_file(ports: Ports, file: File) -> None:
    """Remove the file from every vector store and code interpreter, then its row, then its bytes. Raises NotFound."""
    for place in await ports.search.stores.holding(file.project, file.id):
        await remove_if_present(ports, place)

    async def attempt() -> None:
        holders = await ports.files.referencing_objects(file.project, file.id)
        updates = [Update(_without_file(holder, file.id), holder.version) for holder in holders]
        try:
            await ports.store.apply(WriteSet((*updates, Delete(File, file.id))))
        except VersionConflict:
            if await ports.store.get(File, file.project, file.id) is None:
                raise no_file(file.id) from None
            raise

    holders = await ports.files.referencing_objects(file.project, file.id)
    await change(ports, (file.id, *(holder.id for holder in holders)), attempt)
    await ports.blobs.remove(file.blob.key, ports.files.blobs_in_use)


def _without_file(holder: Assistant | Thread, file_id: FileId) -> Assistant | Thread:
    resources = holder.tool_resources
    left = tuple(one for one in resources.file_ids or () if one != file_id)
    return replace(holder, tool_resources=replace(resources, file_ids=left), version=holder.version + 1)


async def delete_expired_files(ports: Ports, at: Instant, unmovable: Unmovable) -> None:
    """Delete files whose time has come, past those that cannot be. Raises Unavailable."""
    for file in await ports.files.expired(at, BATCH + len(unmovable)):
        await unmovable.attempt(f"file {file.id} has expired and could not be deleted", file.id, _delete(ports, file))


async def _delete(ports: Ports, file: File) -> None:
    with suppress(NotFound):  # somebody else deleted it
        await delete_file(ports, file)
