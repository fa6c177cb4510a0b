"""Reads files into vector stores, several at once. A row in progress *is* the job: nothing is queued, nothing is lost.

A file is read, cut, embedded and indexed first; one transaction then makes it completed, so a crash repeats work but
never does it twice. What is read already for another store is not read again.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from weakref import WeakValueDictionary

from threadmill.domain.chunking import TooManyTokens
from threadmill.domain.error import DatabaseUnavailable, ThreadmillError, Unavailable, Unreadable
from threadmill.domain.file import File
from threadmill.domain.ids import StoreFileId, VectorStoreId
from threadmill.domain.supported_file import TEXT_EXTENSIONS, extension_of
from threadmill.domain.vector_store import (
    FileError,
    FileErrorCode,
    VectorStoreFile,
    VectorStoreFileStatus,
)
from threadmill.engine.documents.edition import build_edition, edition_key
from threadmill.engine.ports.blobs import BlobLost
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.embedder import EmbeddingFailed
from threadmill.engine.ports.search_index import IndexedFile
from threadmill.engine.ports.store import Sealed, Update, WriteSet
from threadmill.engine.ports.surprises import FILE_INTERNAL_ERROR, OnError
from threadmill.engine.ports.text_extractor import ExtractionFailed
from threadmill.engine.storage.counting import counting
from threadmill.engine.storage.retry import change

FILE_DELETED = FileError(FileErrorCode.INVALID_FILE, "The file was deleted before it was read.")
RETRY_SECONDS = 5.0
"""Seconds until what failed through no fault of the file is tried again."""

MAX_RETRY_SECONDS = 300.0
"""The longest of these pauses: each is twice the one before."""

MAX_TRIES = 20
"""Over an hour of pauses; then the file fails with what stands in its way."""

MAX_PAUSED = 64
"""Files that pause without a reader's place. More at once have a cause in common: then the readers wait too."""

SMALL_FILE = 128 * 1024
"""Bytes up to which a text file is small: a few dozen of them at once take no memory worth counting."""

EMBEDDER_TIMEOUT = 300
"""Seconds a file waits for an embedder that does not answer, before it fails."""


class Ingester:
    """Reads up to `readers` files at once, `large_readers` large ones of them. `report` is told of surprises."""

    def __init__(self, ports: Ports, readers: int, large_readers: int, report: OnError) -> None:
        self._ports: Ports = ports
        self._readers: int = readers
        self._large: asyncio.Semaphore = asyncio.Semaphore(large_readers)
        self._report: OnError = report
        self._tasks: dict[StoreFileId, asyncio.Task[None]] = {}
        self._stores: dict[StoreFileId, VectorStoreId] = {}
        self._tries: dict[StoreFileId, int] = {}
        self._paused: dict[StoreFileId, asyncio.TimerHandle] = {}
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._wakened: asyncio.Event = asyncio.Event()
        self._wakened.set()

    def wake(self) -> None:
        """There may be a file to read, or chunks nobody needs."""
        self._wakened.set()

    async def wakened(self) -> None:
        """Return when there may be something to do that was not looked for yet."""
        await self._wakened.wait()
        self._wakened.clear()

    async def stop(self) -> None:
        """What is under way is left for the next start."""
        tasks = list(self._tasks.values())
        for one in (*tasks, *self._paused.values()):
            one.cancel()
        self._paused.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start_pending(self) -> None:
        """Begin with as many files as there is room for; when there are none, sweep."""
        room = self._readers - len(self._tasks)
        beside = frozenset([*self._tasks, *self._paused])
        rows = await self._ports.search.stores.pending(room, beside) if room > 0 else ()
        for row in rows:
            self._stores[row.id] = row.vector_store_id
            self._tasks[row.id] = task = asyncio.create_task(self._read(row), name=f"read {row.id}")
            task.add_done_callback(lambda _, key=row.id: self._forget(key))
        if not self._tasks:
            if not self._paused:
                self._tries.clear()
            while await self._ports.search.chunks.sweep(frozenset()):
                pass

    def _forget(self, key: StoreFileId) -> None:
        self._tasks.pop(key, None)
        self._stores.pop(key, None)
        self._wakened.set()

    def cancel(self, key: StoreFileId) -> None:
        """The file is no longer wanted."""
        if (task := self._tasks.get(key)) is not None:
            task.cancel()
        if (timer := self._paused.pop(key, None)) is not None:
            timer.cancel()
        self._tries.pop(key, None)

    def cancel_store(self, store_id: VectorStoreId) -> None:
        """The store is gone with all its files."""
        for key in [key for key, held in self._stores.items() if held == store_id]:
            self.cancel(key)
        self.wake()

    async def _read(self, row: VectorStoreFile) -> None:
        """From in progress to settled; only what is no fault of the file leaves it in progress."""
        try:
            await self._record_outcome(row, await self._outcome(row))
        except DatabaseUnavailable:
            await asyncio.sleep(RETRY_SECONDS)  # its own trouble, told once for all files
        except Exception as error:  # noqa: BLE001 - the row is in progress still, so it is read again
            self._report(f"reading {row.id} is tried again", error)
            await self._pause(row.id)
        else:
            self._tries.pop(row.id, None)

    async def _pause(self, key: StoreFileId) -> None:
        """Let others be read meanwhile: what is wrong with one file's bytes or rows is that file's alone."""
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        seconds = min(RETRY_SECONDS * 2 ** (tries - 1), MAX_RETRY_SECONDS)
        if len(self._paused) >= MAX_PAUSED:
            await asyncio.sleep(seconds)
        else:
            self._paused[key] = asyncio.get_running_loop().call_later(seconds, self._resume, key)

    def _resume(self, key: StoreFileId) -> None:
        self._paused.pop(key, None)
        self._wakened.set()

    async def _outcome(self, row: VectorStoreFile) -> Edition | FileError:
        try:
            file = await self._ports.store.get(File, row.project, row.file_id)
        except Unreadable as error:
            return FileError(FileErrorCode.SERVER_ERROR, error.message)
        return FILE_DELETED if file is None else await self._ingest(row, file)

    async def _ingest(self, row: VectorStoreFile, file: File) -> Edition | FileError:
        try:
            return await self._index(row, file)
        except ExtractionFailed as failed:
            return failed.error
        except TooManyTokens as error:
            return FileError(FileErrorCode.INVALID_FILE, str(error))
        except EmbeddingFailed as error:
            if error.transient and self._ports.clock.now() - row.created_at < EMBEDDER_TIMEOUT:
                raise Unavailable(str(error)) from error
            return FileError(FileErrorCode.SERVER_ERROR, str(error))
        except BlobLost as error:
            return FileError(FileErrorCode.SERVER_ERROR, error.message)
        except ThreadmillError as error:
            if isinstance(error, DatabaseUnavailable) or self._tries.get(row.id, 0) < MAX_TRIES:
                raise
            return FileError(FileErrorCode.SERVER_ERROR, error.message)
        except Exception as error:  # noqa: BLE001 - a file must not stay in progress for ever
            self._report(f"reading {row.id} failed unexpectedly", error)
            return FileError(FileErrorCode.SERVER_ERROR, FILE_INTERNAL_ERROR)

    async def _index(self, row: VectorStoreFile, file: File) -> Edition:
        """The file's chunks in the store's index. Two stores that want the same edition do not make it twice."""
        search = self._ports.search
        name = edition_key(file, row.chunking_strategy, search.embedder)
        async with self._turn(file), self._making.setdefault(name, asyncio.Lock()):
            edition, chunks = await search.chunks.sealed(name), ()
            if edition is None:
                edition, chunks = await build_edition(self._ports, name, file, row)
            chunks = chunks or await search.chunks.chunks(name)
        await search.index.upsert(row.vector_store_id, IndexedFile(row.file_id, edition.id, chunks))
        return edition

    def _turn(self, file: File) -> AbstractAsyncContextManager[object]:
        """Only what surely stays small as a text is read beside more than a few others."""
        is_small = file.blob.size <= SMALL_FILE and extension_of(file.filename) in TEXT_EXTENSIONS
        return nullcontext() if is_small and self._ports.search.embedder is None else self._large

    async def _record_outcome(self, row: VectorStoreFile, outcome: Edition | FileError) -> None:
        """Commit the outcome, unless the file was removed, cancelled or added anew meanwhile."""
        guards = (Sealed(outcome.id),) if isinstance(outcome, Edition) else ()

        async def attempt() -> None:
            held = await self._ports.store.get(VectorStoreFile, row.project, row.id)
            if held is None or held.status is not VectorStoreFileStatus.IN_PROGRESS:
                return
            if _was_changed(held, row):
                return  # it was added anew: the next round reads it as is wanted now
            writes = (Update(settled := _settled(held, outcome), held.version), *counting(held, settled))
            await self._ports.store.apply(WriteSet(writes, guards))

        await change(self._ports, (row.id,), attempt)


def _settled(held: VectorStoreFile, outcome: Edition | FileError) -> VectorStoreFile:
    return held.completed(outcome.id, outcome.usage_bytes) if isinstance(outcome, Edition) else held.failed(outcome)


def _was_changed(held: VectorStoreFile, row: VectorStoreFile) -> bool:
    """Whether the file is to be read in another way than `row` said; attributes do not matter to that."""
    return replace(held, attributes=row.attributes, version=row.version) != row
