"""A search through stores, from the caller's words to chunks with their files (behaviour.md 7.5)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from threadmill.domain.filter import Attributes, Filter, predicate
from threadmill.domain.ids import FileId, ProjectId, StoreFileId, VectorStoreId
from threadmill.domain.new_store import StoreSearch
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.vector_store import (
    VectorStore,
    VectorStoreFile,
    VectorStoreFileStatus,
    VectorStoreStatus,
    store_file_id,
)
from threadmill.engine.documents.retrieval import Retrieval, ScoredChunk, SearchOptions
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import AddCounts, Scope, WriteSet

TOUCH_INTERVAL = 60
"""Seconds in which a store's last use is noted once."""

PAGE = 1_000
"""Files looked at in one read for their attributes."""


@dataclass(frozen=True, slots=True)
class SearchMatch:
    """A chunk worth showing and the file it is from; `score` from 0 to 1."""

    file_id: FileId
    filename: str
    score: float
    attributes: Attributes
    text: str


async def search_stores(
    ports: Ports, project: ProjectId, store_ids: Sequence[VectorStoreId], wanted: StoreSearch
) -> Sequence[SearchMatch]:
    """The best chunks of all the stores, best first; stores that do not exist are empty. Raises Unavailable."""
    search = ports.search
    retrieval = Retrieval(search.index, search.chunks, search.embedder, search.reranker)
    allowed = {one: await _allowed(ports, project, one, wanted.filters) for one in dict.fromkeys(store_ids)}
    wish = SearchOptions(wanted.limit, wanted.threshold, wanted.weights, wanted.rerank)
    found = await retrieval.search(wanted.queries, allowed, wish)
    files = await ports.files.find_many(project, list(dict.fromkeys(one.place.file_id for one in found)))
    by_id = {file.id: file for file in files}
    attributes = await _attributes(ports, project, found)
    return [
        SearchMatch(file.id, file.filename, one.score, attributes.get(_row_id(one), {}), one.text)
        for one in found
        if (file := by_id.get(one.place.file_id)) is not None
    ]


async def _attributes(
    ports: Ports, project: ProjectId, found: Sequence[ScoredChunk]
) -> Mapping[StoreFileId, Attributes]:
    """Those of the files found, all looked up at once."""
    rows = await ports.search.stores.held(list(dict.fromkeys(map(_row_id, found))))
    return {row.id: row.attributes for row in rows if row.project == project}


def _row_id(found: ScoredChunk) -> StoreFileId:
    return store_file_id(found.place.store_id, found.place.file_id)


async def _allowed(
    ports: Ports, project: ProjectId, store_id: VectorStoreId, wanted: Filter | None
) -> frozenset[FileId] | None:
    """The files of the store that pass the filter; None without one."""
    if wanted is None:
        return None
    scope = Scope(project, vector_store_id=store_id, status=VectorStoreFileStatus.COMPLETED)
    passes = predicate(wanted)
    passed: list[FileId] = []
    after: str | None = None
    while True:
        page = await ports.store.page(VectorStoreFile, scope, PageQuery(PAGE, Order.ASC, after))
        # In a thread: a long filter over a thousand files takes longer than a stream may wait.
        passed += await asyncio.to_thread(_passing, passes, page.items)
        if not (page.has_more and page.items):  # a page of rows that cannot be read is empty
            return frozenset(passed)
        after = page.items[-1].id


def _passing(passes: Callable[[Attributes], bool], rows: Sequence[VectorStoreFile]) -> list[FileId]:
    return [row.file_id for row in rows if passes(row.attributes)]


async def touch(ports: Ports, store: VectorStore) -> None:
    """Note that the store is in use, which prolongs its life."""
    now = ports.clock.now()
    if now - store.last_active_at < TOUCH_INTERVAL or store.status(now) is VectorStoreStatus.EXPIRED:
        return
    await ports.store.apply(WriteSet((AddCounts(VectorStore, store.id, used_at=now),)))
