"""Use cases of file batches: create, retrieve, cancel (behaviour.md 7.4). Their files are listed by `store_files.page`."""

from collections.abc import Sequence
from itertools import chain

from threadmill.domain.error import no_file_batch
from threadmill.domain.ids import FileBatchId, ProjectId, StoreFileId, VectorStoreId
from threadmill.domain.new_store import NewStoreFile
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.vector_store import FileBatch, FileCounts, VectorStoreFile, VectorStoreFileStatus, store_file_id
from threadmill.engine.engine import Engine
from threadmill.engine.objects.store_file_insertion import add_files, check_files_supported
from threadmill.engine.objects.vector_stores import retrieve as retrieve_store
from threadmill.engine.ports.store import Insert, Scope, Update, WriteSet
from threadmill.engine.storage.counting import counting
from threadmill.engine.storage.retry import change

AT_ONCE = 100
"""Files cancelled in one transaction."""


async def create(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, files: Sequence[NewStoreFile]
) -> FileBatch:
    """Add several files at once. Raises NotFound (the store), InvalidRequest (a file)."""
    await retrieve_store(engine, project, store_id)
    await check_files_supported(engine.ports, project, files)
    count = len({one.file_id for one in files})
    batch = FileBatch(
        engine.ports.ids.file_batch(), project, store_id, engine.ports.clock.now(), FileCounts(in_progress=count)
    )

    async def attempt() -> None:
        filled = await add_files(engine.ports, await retrieve_store(engine, project, store_id), files, batch.id)
        await engine.ports.store.apply(WriteSet((*filled.writes, Insert(batch)), filled.guards))

    await change(engine.ports, {store_file_id(store_id, one.file_id) for one in files}, attempt)
    engine.ingester.wake()
    return batch


async def retrieve(engine: Engine, project: ProjectId, store_id: VectorStoreId, batch_id: FileBatchId) -> FileBatch:
    """One batch of the store. Raises NotFound."""
    batch = await engine.ports.store.get(FileBatch, project, batch_id)
    if batch is None or batch.vector_store_id != store_id:
        await retrieve_store(engine, project, store_id)
        raise no_file_batch(batch_id)
    return batch


async def cancel(engine: Engine, project: ProjectId, store_id: VectorStoreId, batch_id: FileBatchId) -> FileBatch:
    """Cancel what is not read yet; a batch that is done stays as it is (behaviour.md 7.4). Raises NotFound."""
    scope = Scope(project, vector_store_id=store_id, batch_id=batch_id, status=VectorStoreFileStatus.IN_PROGRESS)

    await retrieve(engine, project, store_id, batch_id)
    while (page := await engine.ports.store.page(VectorStoreFile, scope, PageQuery(AT_ONCE, Order.ASC))).items:
        await _cancel(engine, batch_id, [row.id for row in page.items])
    return await retrieve(engine, project, store_id, batch_id)


async def _cancel(engine: Engine, batch_id: FileBatchId, ids: Sequence[StoreFileId]) -> None:
    """Cancel those of the files that are still being read for the batch."""

    async def attempt() -> None:
        held = await engine.ports.search.stores.held(ids)
        rows = [row for row in held if (row.batch_id, row.status) == (batch_id, VectorStoreFileStatus.IN_PROGRESS)]
        changes = [(Update(row.cancelled(), row.version), *counting(row, row.cancelled())) for row in rows]
        await engine.ports.store.apply(WriteSet(tuple(chain.from_iterable(changes))))
        for row in rows:
            engine.ingester.cancel(row.id)

    await change(engine.ports, ids, attempt)
