"""Where chunks are found again. An index is a cache: it can be rebuilt from the stored chunks, which are the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from threadmill.domain.ids import FileId, VectorStoreId
from threadmill.engine.ports.embedder import Vector


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A chunk's text, and its vector unless search is by words only."""

    text: str
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file's chunks in order. `edition` changes whenever the chunks or their vectors do."""

    file_id: FileId
    edition: str
    chunks: Sequence[IndexedChunk]


class Hit(NamedTuple):
    """Chunk number `chunk` of a file. `score` is the ranking's own: comparable within one list only."""

    file_id: FileId
    chunk: int
    score: float


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """`text` is looked for by its words, `vector` by nearness; None leaves that half out.

    `files`: only these; None: all. `top_k`: hits wanted of each half.
    """

    text: str | None
    vector: Vector | None = None
    files: frozenset[FileId] | None = None
    top_k: int = 100


@dataclass(frozen=True, slots=True)
class IndexHits:
    """Both rankings, best first. A `semantic` score is the cosine, and so comparable across stores."""

    lexical: Sequence[Hit] = ()
    semantic: Sequence[Hit] = ()


class ChunkSource(Protocol):
    """The truth an index is rebuilt from: the chunks of completed files."""

    async def editions(self, store_id: VectorStoreId) -> Mapping[FileId, str]:
        """The completed files of a store and their present editions; empty for a store that is gone."""
        ...

    async def read(self, store_id: VectorStoreId, file_id: FileId) -> IndexedFile | None:
        """One file with its chunks; None if it is gone."""
        ...

    async def texts(self, store_id: VectorStoreId, places: Sequence[tuple[FileId, int]]) -> Sequence[str | None]:
        """The texts of chunks named by file and number, in order; None for one that is gone."""
        ...


class SearchIndex(Protocol):
    """Finds chunks by words and by nearness. No call blocks the event loop.

    The first use of a store after a start compares the index with its ChunkSource and puts right what differs, so a
    crash between storing chunks and `upsert` costs nothing but that. All raise Unavailable when the disk fails.
    """

    async def upsert(self, store_id: VectorStoreId, file: IndexedFile) -> None:
        """Make a file's chunks findable in place of what it had; done when it returns. Call it after they are stored."""
        ...

    async def remove(self, store_id: VectorStoreId, file_id: FileId) -> None:
        """Forget a file. Call it after its chunks are gone from the truth. A file that is not there is no error."""
        ...

    async def drop(self, store_id: VectorStoreId) -> None:
        """Forget a store."""
        ...

    async def search(self, store_id: VectorStoreId, query: IndexQuery) -> IndexHits:
        """Look for chunks; nothing in an unknown store. A vector of another size than the store's finds nothing."""
        ...

    async def aclose(self) -> None:
        """Finish what is being written and close files."""
        ...
