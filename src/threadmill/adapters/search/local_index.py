"""The SearchIndex port in this process: one folder a store, opened when needed, in step with the stored chunks."""

import asyncio
import logging
import os
import shutil
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from threadmill.adapters.search.store_index import StoreIndex
from threadmill.domain.error import Unavailable
from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.engine.ports.search_index import ChunkSource, IndexedFile, IndexHits, IndexQuery

ANN_THRESHOLD = 200_000
"""Vectors in a store from which the search for near ones is approximate."""

MAX_OPEN = 64
"""Stores kept open; an open one holds a few files, its row numbers, and no text."""

BATCH_CHUNKS = 20_000
"""Chunks written in one commit when many are waiting."""

LINGER_SECONDS = 1.0
"""For so long an index that was written stays open for writing: opening it for every file takes longer than the file."""

GATHER_SECONDS = 0.1
"""Between two commits of an index: many small files share one, which takes longer than the files. The first is not kept waiting."""

MAX_LINGERING = 2
"""Indexes that do so; each holds its writer's memory."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Change:
    """A file to put, or to remove if `file` is None; `done` is told when it is on disk."""

    file_id: FileId
    file: IndexedFile | None
    done: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Store:
    """A store in use. `opening` guards `index`; `writer` is the task that works off `waiting`, which `woken` wakes.

    `leaving`: nothing waits for more to come.
    """

    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    index: StoreIndex | None = None
    waiting: list[_Change] = field(default_factory=list["_Change"])
    writer: asyncio.Task[None] | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    def is_busy(self) -> bool:
        """Something waits or is being written or opened."""
        return self.writer is not None or bool(self.waiting) or self.opening.locked()


FAILURES = (OSError, ValueError, RuntimeError)
"""What tantivy, numpy, usearch and the disk raise."""


LOG = logging.getLogger("threadmill.search")


class LocalSearchIndex:
    """See the port. `directory` holds a folder for each store.

    Searches run in threads of their own and never wait for writes; writes of one store are gathered into one commit.
    """

    def __init__(
        self, directory: Path, source: ChunkSource, *, ann_threshold: int = ANN_THRESHOLD, max_open: int = MAX_OPEN
    ) -> None:
        self._directory: Path = directory
        self._source: ChunkSource = source
        self._ann_threshold: int = ann_threshold
        self._max_open: int = max_open
        self._stores: OrderedDict[VectorStoreId, _Store] = OrderedDict()
        self._lingering: list[_Store] = []
        self._readers: ThreadPoolExecutor = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "search")
        self._writers: ThreadPoolExecutor = ThreadPoolExecutor(2, "index")

    async def upsert(self, store_id: VectorStoreId, file: IndexedFile) -> None:
        """See the port."""
        await self._change(store_id, file.file_id, file)

    async def remove(self, store_id: VectorStoreId, file_id: FileId) -> None:
        """See the port."""
        if self._folder(store_id).exists():
            await self._change(store_id, file_id, None)

    async def drop(self, store_id: VectorStoreId) -> None:
        """See the port."""
        store = self._stores.pop(store_id, None)
        if store is not None:
            await _written(store)
        await self._write(shutil.rmtree, self._folder(store_id), ignore_errors=True)

    async def search(self, store_id: VectorStoreId, query: IndexQuery) -> IndexHits:
        """See the port."""
        store = self._store(store_id)
        index = await self._opened(store_id, store)
        if index is None:
            return IndexHits()
        try:
            return await self._read(index.search, query)
        except FAILURES:
            # What is on disk cannot be read after all: build it anew, once.
            await self._discard(store_id, store, index)
        index = await self._opened(store_id, store)
        return IndexHits() if index is None else await _or_unavailable(self._read(index.search, query))

    async def aclose(self) -> None:
        """See the port."""
        for store in list(self._stores.values()):
            await _written(store)
            if store.index is not None:
                await self._write(store.index.close)
        self._stores.clear()
        self._readers.shutdown()
        self._writers.shutdown()

    def _store(self, store_id: VectorStoreId) -> _Store:
        """The store's entry, now the youngest; the oldest idle ones are let go."""
        store = self._stores.setdefault(store_id, _Store())
        self._stores.move_to_end(store_id)
        if len(self._stores) > self._max_open:
            idle = (name for name, one in self._stores.items() if one is not store and not one.is_busy())
            if (oldest := next(idle, None)) is not None:
                # Its files close when the last search that uses it ends.
                del self._stores[oldest]
        return store

    async def _change(self, store_id: VectorStoreId, file_id: FileId, file: IndexedFile | None) -> None:
        store = self._store(store_id)
        change = _Change(file_id, file, asyncio.get_running_loop().create_future())
        store.waiting.append(change)
        store.woken.set()
        if store.writer is None:
            store.writer = asyncio.create_task(self._write_loop(store_id, store))
        # Shielded: a caller that gives up must not undo what others wait for in the same commit.
        await asyncio.shield(change.done)

    async def _write_loop(self, store_id: VectorStoreId, store: _Store) -> None:
        """Write what waits, commit by commit, and let the index rest when nothing does.

        Nothing is awaited between finding nothing waiting and saying that nobody works: a change that comes while the
        index is being laid to rest must not be left lying.
        """
        try:
            while True:
                if changes := _batch(store.waiting):
                    try:
                        await self._commit(store_id, store, changes)
                    except Exception as error:  # noqa: BLE001 - every one of them is told
                        _fail(changes, error)
                    else:
                        _succeed(changes)
                    if not store.leaving.is_set():
                        await self._linger(store)
                if not store.waiting:
                    await self._run_idle_work(store)
                if not store.waiting:
                    return
        finally:
            store.writer = None

    async def _linger(self, store: _Store) -> None:
        """Wait a little for more to write, and then for what comes with it, unless too many do."""
        store.woken.clear()
        if store.waiting:
            store.woken.set()
        if len(self._lingering) == MAX_LINGERING:
            self._lingering.pop(0).woken.set()
        self._lingering.append(store)
        if await _happens(store.woken, LINGER_SECONDS) and store.waiting:
            await _happens(store.leaving, GATHER_SECONDS)
        if store in self._lingering:
            self._lingering.remove(store)

    async def _commit(self, store_id: VectorStoreId, store: _Store, changes: Sequence[_Change]) -> None:
        index = await self._opened(store_id, store, create=True)
        assert index is not None
        last = {change.file_id: change.file for change in changes}
        put = [file for file in last.values() if file is not None]
        removed = [file_id for file_id, file in last.items() if file is None]
        try:
            await _or_unavailable(self._write(index.write, put, removed))
        except BaseException:
            # Memory and disk may differ now: the next use opens it anew and mends it.
            store.index = None
            raise

    async def _run_idle_work(self, store: _Store) -> None:
        """Merges, and the approximate index's work in slices, until something waits again."""
        index = store.index
        if index is None:
            return
        try:
            await self._write(index.finish_merges)
            while not store.waiting and await self._write(index.build_ann_slice):
                pass
        except FAILURES:
            return  # searches compare what the graph lacks, and the next write merges
        except Exception:
            # What waits by now must be written all the same.
            LOG.exception("An index could not be laid to rest")

    async def _opened(self, store_id: VectorStoreId, store: _Store, *, create: bool = False) -> StoreIndex | None:
        """The store's index, in step with the truth; None for a store that has no files and no folder."""
        if store.index is not None:
            return store.index
        async with store.opening:
            if store.index is None:
                editions = await self._source.editions(store_id)
                if editions or create or self._folder(store_id).exists():
                    store.index = await self._open(store_id, editions)
                    if store.writer is None:
                        # The approximate index is loaded, or goes on growing, behind the first search.
                        store.writer = asyncio.create_task(self._write_loop(store_id, store))
            return store.index

    async def _open(self, store_id: VectorStoreId, editions: Mapping[FileId, str]) -> StoreIndex:
        folder = self._folder(store_id)
        try:
            index = await self._write(_open_index, folder, self._ann_threshold)
        except FAILURES:
            await self._write(shutil.rmtree, folder, ignore_errors=True)
            index = await _or_unavailable(self._write(_open_index, folder, self._ann_threshold))
        await self._reconcile(store_id, index, editions)
        return index

    async def _reconcile(self, store_id: VectorStoreId, index: StoreIndex, editions: Mapping[FileId, str]) -> None:
        """Put in what the index lacks, and take out what the truth no longer has."""
        here = index.editions()
        batch: list[IndexedFile] = []
        for file_id in [name for name, edition in editions.items() if here.get(name) != edition]:
            file = await self._source.read(store_id, file_id)
            batch += [] if file is None else [file]
            if sum(len(one.chunks) for one in batch) >= BATCH_CHUNKS:
                await _or_unavailable(self._write(index.write, batch, ()))
                batch = []
        gone = [name for name in here if name not in editions]
        if batch or gone:
            await _or_unavailable(self._write(index.write, batch, gone))
        await self._write(index.finish_merges)

    async def _discard(self, store_id: VectorStoreId, store: _Store, broken: StoreIndex) -> None:
        async with store.opening:
            if store.index is broken:
                store.index = None
                await self._write(shutil.rmtree, self._folder(store_id), ignore_errors=True)

    def _folder(self, store_id: VectorStoreId) -> Path:
        if not store_id.replace("_", "").isalnum():
            raise ValueError(f"'{store_id}' is not an id.")
        return self._directory / store_id

    def _read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._readers, partial(call, *args, **kwargs))

    def _write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._writers, partial(call, *args, **kwargs))


def _open_index(folder: Path, ann_threshold: int) -> StoreIndex:
    index = StoreIndex(folder, ann_threshold)
    index.repair()
    return index


def _batch(waiting: list[_Change]) -> list[_Change]:
    """The oldest changes, up to a commit's worth; they leave `waiting`."""
    chunks, count = 0, 0
    while count < len(waiting) and chunks < BATCH_CHUNKS:
        file = waiting[count].file
        chunks += len(file.chunks) if file else 0
        count += 1
    batch, waiting[:] = waiting[:count], waiting[count:]
    return batch


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it does within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _written(store: _Store) -> None:
    """What waits is on disk, and the index at rest."""
    store.leaving.set()
    store.woken.set()
    if store.writer is not None:
        await asyncio.wait([store.writer])


def _succeed(changes: Sequence[_Change]) -> None:
    for change in changes:
        if not change.done.done():
            change.done.set_result(None)


def _fail(changes: Sequence[_Change], error: Exception) -> None:
    for change in changes:
        if not change.done.done():
            change.done.set_exception(error)


async def _or_unavailable(work: Awaitable[T]) -> T:
    """The work's result. Raises Unavailable where it fails on the disk or in the index."""
    try:
        return await work
    except FAILURES as error:
        raise Unavailable(f"The search index cannot be read or written: {error}") from error
