"""How a file leaves a vector store: its row, the counts and its place in the index."""

from threadmill.domain.error import NotFound, no_store_file
from threadmill.domain.vector_store import FileBatch, VectorStore, VectorStoreFile
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import Delete, Update, Write, WriteSet
from threadmill.engine.storage.retry import until_won


async def take_out(ports: Ports, held: VectorStoreFile) -> None:
    """Remove the file from the store. What nobody names any more of its chunks, the ingester sweeps. Raises NotFound."""

    async def attempt() -> None:
        row = await ports.store.get(VectorStoreFile, held.project, held.id)
        store = await ports.store.get(VectorStore, held.project, held.vector_store_id)
        if row is None or store is None:
            raise no_store_file(held.file_id, held.vector_store_id)
        writes: list[Write] = [Update(store.with_file(row, None), store.version), Delete(VectorStoreFile, row.id)]
        batch = None if row.batch_id is None else await ports.store.get(FileBatch, row.project, row.batch_id)
        if batch is not None:
            writes.append(Update(batch.with_file(row.status, None), batch.version))
        await ports.store.apply(WriteSet(tuple(writes)))

    await until_won(attempt)
    await ports.search.index.remove(held.vector_store_id, held.file_id)


async def take_out_everywhere(ports: Ports, held: VectorStoreFile) -> None:
    """As `take_out`; that somebody else did it first is no error."""
    try:
        await take_out(ports, held)
    except NotFound:
        return
