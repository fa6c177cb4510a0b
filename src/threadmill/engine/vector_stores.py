"""Use cases of vector stores: create, retrieve, list, modify, delete, search (behaviour.md 7.2, 7.5)."""

from collections.abc import Sequence

from threadmill.domain.ids import ProjectId, VectorStoreId
from threadmill.domain.new_store import NewVectorStore, StoreSearch, VectorStorePatch
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.vector_store import VectorStore
from threadmill.engine.engine import Engine
from threadmill.engine.searching import Match


async def create(engine: Engine, project: ProjectId, new: NewVectorStore) -> VectorStore:
    """A new store; its files are read in the background. Raises Invalid for files that do not exist or cannot be read."""
    raise NotImplementedError


async def retrieve(engine: Engine, project: ProjectId, store_id: VectorStoreId) -> VectorStore:
    """One store; `store.status(engine.ports.clock.now())` is what it reads as. Raises NotFound."""
    raise NotImplementedError


async def page(engine: Engine, project: ProjectId, query: PageQuery) -> Page[VectorStore]:
    """The project's stores. Raises Invalid for a bad cursor."""
    raise NotImplementedError


async def modify(engine: Engine, project: ProjectId, store_id: VectorStoreId, patch: VectorStorePatch) -> VectorStore:
    """Change name, expiry or metadata. Raises NotFound, Invalid."""
    raise NotImplementedError


async def delete(engine: Engine, project: ProjectId, store_id: VectorStoreId) -> None:
    """Remove the store; its files stay files. Raises NotFound."""
    raise NotImplementedError


async def search(engine: Engine, project: ProjectId, store_id: VectorStoreId, wanted: StoreSearch) -> Sequence[Match]:
    """The best chunks, best first. Raises NotFound, Conflict for an expired store, Unavailable."""
    raise NotImplementedError
