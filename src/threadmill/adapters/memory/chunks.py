"""The Chunks and StoreFiles ports in dictionaries, over the memory store's rows."""

from collections.abc import Callable, Mapping, Sequence

from threadmill.domain.ids import FileId, ProjectId, StoreFileId, VectorStoreId
from threadmill.domain.vector_store import VectorStoreFile, VectorStoreFileStatus, store_file_id
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.search_index import IndexedChunk, IndexedFile


class MemoryChunks:
    """See both ports. `files` gives all files of all stores, oldest first."""

    def __init__(self, files: Callable[[], Sequence[VectorStoreFile]]) -> None:
        self._files: Callable[[], Sequence[VectorStoreFile]] = files
        self._chunks: dict[str, list[IndexedChunk]] = {}
        self._sealed: dict[str, Edition] = {}

    async def sealed(self, edition: str) -> Edition | None:
        """See the port."""
        return self._sealed.get(edition)

    def is_sealed(self, edition: str) -> bool:
        """For the store's guard."""
        return edition in self._sealed

    async def chunks(self, edition: str) -> Sequence[IndexedChunk]:
        """See the port."""
        return self._chunks.get(edition, [])

    async def begin(self, edition: str) -> None:
        """See the port."""
        self._chunks[edition] = []

    async def write(self, edition: str, first: int, chunks: Sequence[IndexedChunk]) -> None:
        """See the port."""
        self._chunks[edition][first:] = chunks

    async def seal(self, edition: Edition) -> None:
        """See the port."""
        self._sealed[edition.id] = edition

    async def keep(self, edition: Edition, chunks: Sequence[IndexedChunk]) -> None:
        """See the port."""
        self._chunks[edition.id], self._sealed[edition.id] = list(chunks), edition

    async def sweep(self, spare: frozenset[str]) -> int:
        """See the port."""
        named = {file.edition for file in self._files()}
        unnamed = [edition for edition in self._chunks if edition not in named and edition not in spare]
        for edition in unnamed:
            del self._chunks[edition]
            self._sealed.pop(edition, None)
        return len(unnamed)

    async def editions(self, store_id: VectorStoreId) -> Mapping[FileId, str]:
        """See the port."""
        held = [file for file in self._files() if file.vector_store_id == store_id]
        return {file.file_id: file.edition for file in held if file.edition is not None}

    async def read(self, store_id: VectorStoreId, file_id: FileId) -> IndexedFile | None:
        """See the port."""
        edition = (await self.editions(store_id)).get(file_id)
        return None if edition is None else IndexedFile(file_id, edition, self._chunks[edition])

    async def texts(self, store_id: VectorStoreId, places: Sequence[tuple[FileId, int]]) -> Sequence[str | None]:
        """See the port."""
        editions = await self.editions(store_id)
        found = [(self._chunks.get(editions.get(file_id, ""), []), seq) for file_id, seq in places]
        return [chunks[seq].text if seq < len(chunks) else None for chunks, seq in found]

    async def held(self, ids: Sequence[StoreFileId]) -> Sequence[VectorStoreFile]:
        """See the port."""
        wanted = frozenset(ids)
        return [file for file in self._files() if file.id in wanted]

    async def pending(self, limit: int, beside: frozenset[str]) -> Sequence[VectorStoreFile]:
        """See the port."""
        reading = [file for file in self._files() if file.status is VectorStoreFileStatus.IN_PROGRESS]
        return [file for file in reading if store_file_id(file.vector_store_id, file.file_id) not in beside][:limit]

    async def completed(self, limit: int, after: StoreFileId | None) -> Sequence[VectorStoreFile]:
        """See the port."""
        done = [file for file in self._files() if file.status is VectorStoreFileStatus.COMPLETED]
        return sorted((file for file in done if file.id > (after or "")), key=lambda file: file.id)[:limit]

    async def holding(self, project: ProjectId, file_id: FileId) -> Sequence[VectorStoreFile]:
        """See the port."""
        return [file for file in self._files() if (file.project, file.file_id) == (project, file_id)]
