"""How a file leaves a vector store: its row, the counts and its place in the index."""

from threadmill.domain.error import NotFound, no_store_file
from threadmill.domain.vector_store import VectorStoreFile
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Delete, WriteSet
from threadmill.engine.storage.counting import counting
from threadmill.engine.storage.retry import change


async def remove_from_store(ports: Ports, held: VectorStoreFile) -> None:
    """Remove the file from the store. What nobody names any more of its chunks, the ingester sweeps. Raises NotFound."""

    async def attempt() -> None:
        row = await ports.store.get(VectorStoreFile, held.project, held.id)
        if row is None:
            raise no_store_file(held.file_id, held.vector_store_id)
        await ports.store.apply(WriteSet((Delete(VectorStoreFile, row.id, row.version), *counting(row, None))))

    await change(ports, (held.id,), attempt)
    await ports.search.index.remove(held.vector_store_id, held.file_id)


async def remove_if_present(ports: Ports, held: VectorStoreFile) -> None:
    """As `remove_from_store`; that somebody else did it first is no error."""
    try:
        await remove_from_store(ports, held)
    except NotFound:
        return
