"""What was made for a thread alone: files of code_interpreter, and the stores of its attachments."""

from contextlib import suppress

from threadmill.domain.error import NotFound, VersionConflict
from threadmill.domain.ids import VectorStoreId
from threadmill.domain.thread import Thread
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Delete, WriteSet
from threadmill.engine.storage.file_deletion import delete_file


async def delete_belongings(ports: Ports, thread: Thread) -> None:
    """Files made in the thread, and stores it names that have expired: nobody can search them. Raises Unavailable."""
    for file in await ports.files.created_in_thread(thread.project, thread.id):
        with suppress(NotFound):  # somebody else deleted it
            await delete_file(ports, file)
    for store_id in thread.tool_resources.vector_store_ids or ():
        await _delete_if_expired(ports, thread, store_id)


async def _delete_if_expired(ports: Ports, thread: Thread, store_id: VectorStoreId) -> None:
    store = await ports.store.get(VectorStore, thread.project, store_id)
    if store is None or store.status(ports.clock.now()) is not VectorStoreStatus.EXPIRED:
        return
    try:
        await ports.store.apply(WriteSet((Delete(VectorStore, store_id, store.version),)))
    except VersionConflict:
        return  # somebody deleted it, or brought it back to life
    await ports.search.index.drop(store_id)
