"""Use cases of a vector store's files: add, retrieve, list, modify, remove, content (behaviour.md 7.3)."""

from collections.abc import Sequence
from dataclasses import replace

from threadmill.domain.error import InvalidRequest, no_file, no_store_file
from threadmill.domain.file import File
from threadmill.domain.filter import Attributes
from threadmill.domain.ids import FileBatchId, FileId, ProjectId, VectorStoreId
from threadmill.domain.new_store import NewStoreFile
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.vector_store import VectorStoreFile, VectorStoreFileStatus, store_file_id
from threadmill.engine.engine import Engine
from threadmill.engine.objects.store_file_insertion import add_files, check_files_supported
from threadmill.engine.objects.vector_stores import retrieve as retrieve_store
from threadmill.engine.ports.store import Scope, Update, WriteSet
from threadmill.engine.storage.retry import change
from threadmill.engine.storage.store_file_removal import remove_from_store


async def add(engine: Engine, project: ProjectId, store_id: VectorStoreId, new: NewStoreFile) -> VectorStoreFile:
    """Add a file; it is read in the background. Raises NotFound (the store), InvalidRequest (the file)."""
    await retrieve_store(engine, project, store_id)
    await check_files_supported(engine.ports, project, [new], "file_id")

    async def attempt() -> VectorStoreFile:
        filled = await add_files(engine.ports, await retrieve_store(engine, project, store_id), [new])
        await engine.ports.store.apply(WriteSet(filled.writes, filled.guards))
        (row,) = filled.files
        return row

    added = await change(engine.ports, (store_file_id(store_id, new.file_id),), attempt)
    engine.ingester.wake()
    return added


async def retrieve(engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId) -> VectorStoreFile:
    """One file of the store. Raises NotFound."""
    row = await engine.ports.store.get(VectorStoreFile, project, store_file_id(store_id, file_id))
    if row is None:
        await retrieve_store(engine, project, store_id)
        raise no_store_file(file_id, store_id)
    return row


async def page(
    engine: Engine,
    project: ProjectId,
    store_id: VectorStoreId,
    query: PageQuery,
    *,
    status: VectorStoreFileStatus | None = None,
    batch_id: FileBatchId | None = None,
) -> Page[VectorStoreFile]:
    """Files of the store, or of one batch; cursors are file ids. Raises NotFound, InvalidRequest for a bad cursor."""
    await retrieve_store(engine, project, store_id)
    scope = Scope(project, vector_store_id=store_id, batch_id=batch_id, status=status)
    for name, cursor in (("after", query.after), ("before", query.before)):
        if cursor is not None:
            await _check_cursor(engine, scope, FileId(cursor), name)
    after, before = (one and store_file_id(store_id, FileId(one)) for one in (query.after, query.before))
    return await engine.ports.store.page(VectorStoreFile, scope, replace(query, after=after, before=before))


async def _check_cursor(engine: Engine, scope: Scope, file_id: FileId, param: str) -> None:
    """The row may have left the status that is asked for since the last page; then it is no place to go on from."""
    key = store_file_id(scope.vector_store_id or VectorStoreId(""), file_id)
    row = await engine.ports.store.get(VectorStoreFile, scope.project, key)
    wanted = scope.column_values().items()
    if row is None or any(str(getattr(row, name)) != value for name, value in wanted):
        raise InvalidRequest(f"No object found with id '{file_id}' in this list.", param=param, code="invalid_value")


async def modify(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId, attributes: Attributes
) -> VectorStoreFile:
    """Replace the file's attributes. Raises NotFound."""

    async def attempt() -> VectorStoreFile:
        before = await retrieve(engine, project, store_id, file_id)
        after = replace(before, attributes=attributes, version=before.version + 1)
        await engine.ports.store.apply(WriteSet((Update(after, before.version),)))
        return after

    return await change(engine.ports, (store_file_id(store_id, file_id),), attempt)


async def remove(engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId) -> None:
    """Take the file out of the store; it stays a file. Raises NotFound."""
    await remove_from_store(engine.ports, await retrieve(engine, project, store_id, file_id))
    engine.ingester.cancel(store_file_id(store_id, file_id))
    engine.ingester.wake()


async def content(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, file_id: FileId
) -> tuple[File, VectorStoreFile, Sequence[str]]:
    """The file, its place in the store, and the texts of its chunks in order. Raises NotFound."""
    row = await retrieve(engine, project, store_id, file_id)
    file = await engine.ports.store.get(File, project, file_id)
    if file is None:
        raise no_file(file_id)
    chunks = () if row.edition is None else await engine.ports.search.chunks.chunks(row.edition)
    return file, row, [chunk.text for chunk in chunks]
