"""The chunks of files: the truth every search index is a cache of.

They are kept by edition, which names the bytes, how they were cut and by what they were embedded: a file added again, or
to another store, costs nothing. An edition is written in pieces and counts only once it is sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from threadmill.domain.ids import FileId, ProjectId, StoreFileId
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.vector_store import VectorStoreFile
from threadmill.engine.ports.search_index import ChunkSource, IndexedChunk


@dataclass(frozen=True, slots=True)
class Edition:
    """A sealed edition: how many chunks it has, what they count as in bytes, and how their file was read.

    `notes`: None for editions from before they were kept.
    """

    id: str
    chunks: int
    usage_bytes: int
    notes: ReadingNotes | None = None


class Chunks(ChunkSource, Protocol):
    """Reads and writes of chunks. All raise Unavailable when the database cannot be written or read."""

    async def sealed(self, edition: str) -> Edition | None:
        """The edition if it is whole."""
        ...

    async def chunks(self, edition: str) -> Sequence[IndexedChunk]:
        """All chunks of an edition in order; none for one that is not there."""
        ...

    async def begin(self, edition: str) -> None:
        """Make room for an edition that is not sealed: what an interrupted writer left is removed."""
        ...

    async def write(self, edition: str, first: int, chunks: Sequence[IndexedChunk]) -> None:
        """Append chunks, of which the first is number `first`, to an edition that was begun."""
        ...

    async def seal(self, edition: Edition) -> None:
        """Everything is written."""
        ...

    async def keep(self, edition: Edition, chunks: Sequence[IndexedChunk]) -> None:
        """Begin, write and seal an edition at once; for those whose chunks fit into one write."""
        ...

    async def sweep(self, spare: frozenset[str]) -> int:
        """Remove a few editions no file names, except `spare`; how many. Call again until it is 0."""
        ...


class StoreFiles(Protocol):
    """Questions about the files of vector stores that no list answers."""

    async def held(self, ids: Sequence[StoreFileId]) -> Sequence[VectorStoreFile]:
        """The rows of these keys that there are, in no order, in one query."""
        ...

    async def pending(self, limit: int, beside: frozenset[str]) -> Sequence[VectorStoreFile]:
        """Files in progress, oldest first, without those whose row key is in `beside`."""
        ...

    async def completed(self, limit: int, after: StoreFileId | None) -> Sequence[VectorStoreFile]:
        """Searchable files of all projects behind row key `after`, in the order of the keys."""
        ...

    async def holding(self, project: ProjectId, file_id: FileId) -> Sequence[VectorStoreFile]:
        """The places of a file in all stores of the project."""
        ...
