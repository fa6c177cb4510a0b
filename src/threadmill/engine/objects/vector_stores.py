"""Use cases of vector stores: create, retrieve, list, modify, delete, search (behaviour.md 7.2, 7.5)."""

from collections.abc import Sequence
from dataclasses import replace

from threadmill.domain.error import Conflict, VersionConflict, no_vector_store
from threadmill.domain.ids import ProjectId, VectorStoreId
from threadmill.domain.new_store import NewVectorStore, StoreSearch, VectorStorePatch
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.vector_store import VectorStore, VectorStoreStatus, check_expiry
from threadmill.engine.documents.store_search import SearchMatch, search_stores, touch
from threadmill.engine.engine import Engine
from threadmill.engine.objects.store_file_insertion import build_store, check_files_supported
from threadmill.engine.ports.store import AddCounts, Delete, Scope, Update, WriteSet
from threadmill.engine.storage.retry import change


async def create(engine: Engine, project: ProjectId, new: NewVectorStore) -> VectorStore:
    """A new store; its files are read in the background. Raises InvalidRequest for files that do not exist or cannot be read."""
    await check_files_supported(engine.ports, project, new.files)
    made = build_store(engine.ports, project, new)
    await engine.ports.store.apply(WriteSet(made.writes))
    engine.ingester.wake()
    return made.store


async def retrieve(engine: Engine, project: ProjectId, store_id: VectorStoreId) -> VectorStore:
    """One store; `store.status(engine.ports.clock.now())` is what it reads as. Raises NotFound."""
    store = await engine.ports.store.get(VectorStore, project, store_id)
    if store is None:
        raise no_vector_store(store_id)
    return store


async def page(engine: Engine, project: ProjectId, query: PageQuery) -> Page[VectorStore]:
    """The project's stores. Raises InvalidRequest for a bad cursor."""
    return await engine.ports.store.page(VectorStore, Scope(project), query)


async def modify(engine: Engine, project: ProjectId, store_id: VectorStoreId, patch: VectorStorePatch) -> VectorStore:
    """Change name, expiry or metadata; an expired store lives again with an expiry that allows it. Raises NotFound, InvalidRequest."""
    if patch.values.expires_after is not None:
        check_expiry(patch.values.expires_after)
    values = {name: getattr(patch.values, name) for name in patch.fields}

    async def attempt() -> VectorStore:
        before = await retrieve(engine, project, store_id)
        now = engine.ports.clock.now()
        after = replace(before, **values, last_active_at=now, version=before.version + 1)
        used = AddCounts(VectorStore, store_id, used_at=now)
        await engine.ports.store.apply(WriteSet((Update(after, before.version), used)))
        return after

    return await change(engine.ports, (store_id,), attempt)


async def delete(engine: Engine, project: ProjectId, store_id: VectorStoreId) -> None:
    """Remove the store; its files stay files. Raises NotFound."""
    await retrieve(engine, project, store_id)
    try:
        await engine.ports.store.apply(WriteSet((Delete(VectorStore, store_id),)))
    except VersionConflict:
        raise no_vector_store(store_id) from None
    await engine.ports.search.index.drop(store_id)
    engine.ingester.cancel_store(store_id)


async def search(
    engine: Engine, project: ProjectId, store_id: VectorStoreId, wanted: StoreSearch
) -> Sequence[SearchMatch]:
    """The best chunks, best first. Raises NotFound, Conflict for an expired store, Unavailable."""
    store = await retrieve(engine, project, store_id)
    if store.status(engine.ports.clock.now()) is VectorStoreStatus.EXPIRED:
        raise Conflict(f"Vector store {store_id} is expired.", code="vector_store_expired")
    await touch(engine.ports, store)
    return await search_stores(engine.ports, project, (store_id,), wanted)
