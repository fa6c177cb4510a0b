"""Chunks held in memory: the truth behind a search index, for tests and measures."""

from collections.abc import Mapping, Sequence

from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.engine.ports.search_index import IndexedChunk, IndexedFile

STORE = VectorStoreId("vs_1")


def file_of(name: str, *texts: str, edition: str = "1", vectors: Sequence[bytes | None] = ()) -> IndexedFile:
    """A file whose chunks are `texts`, with `vectors` if given."""
    given = list(vectors) or [None] * len(texts)
    chunks = [IndexedChunk(text, vector) for text, vector in zip(texts, given, strict=True)]
    return IndexedFile(FileId(name), edition, chunks)


class HeldChunks:
    """A ChunkSource whose stores are dictionaries. `reads` counts the files that were asked for whole."""

    def __init__(self) -> None:
        self.stores: dict[VectorStoreId, dict[FileId, IndexedFile]] = {}
        self.reads: int = 0

    def keep(self, *files: IndexedFile, store_id: VectorStoreId = STORE) -> None:
        """Store files, in place of those with the same id."""
        self.stores.setdefault(store_id, {}).update({file.file_id: file for file in files})

    async def editions(self, store_id: VectorStoreId) -> Mapping[FileId, str]:
        return {name: file.edition for name, file in self.stores.get(store_id, {}).items()}

    async def read(self, store_id: VectorStoreId, file_id: FileId) -> IndexedFile | None:
        self.reads += 1
        return self.stores.get(store_id, {}).get(file_id)

    async def texts(self, store_id: VectorStoreId, places: Sequence[tuple[FileId, int]]) -> Sequence[str | None]:
        files = self.stores.get(store_id, {})
        return [files[file_id].chunks[chunk].text if file_id in files else None for file_id, chunk in places]
