"""What a caller asks for when a vector store is made, filled, changed or searched (behaviour.md 7.2 to 7.5)."""

from dataclasses import dataclass, field

from threadmill.domain.assistant import Metadata
from threadmill.domain.chunking import StaticChunking
from threadmill.domain.filter import Attributes, Filter
from threadmill.domain.ids import FileId
from threadmill.domain.ranking import HybridWeights
from threadmill.domain.vector_store import ExpiresAfter


@dataclass(frozen=True, slots=True)
class NewStoreFile:
    """A file to be made searchable, and how."""

    file_id: FileId
    attributes: Attributes = field(default_factory=dict[str, str | float | bool])
    chunking: StaticChunking = field(default_factory=StaticChunking)


@dataclass(frozen=True, slots=True)
class NewVectorStore:
    """A create-vector-store request; also what `tool_resources.file_search.vector_stores` asks for."""

    name: str | None = None
    description: str | None = None
    expires_after: ExpiresAfter | None = None
    files: tuple[NewStoreFile, ...] = ()
    metadata: Metadata = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class VectorStorePatch:
    """A modify request: of `values` only the `fields` the caller spoke of count; `files` is never one of them.

    Here an explicit null is spoken of: it takes away a name or an expiry.
    """

    fields: frozenset[str]
    values: NewVectorStore


@dataclass(frozen=True, slots=True)
class StoreSearch:
    """A search request: the best `limit` chunks for any of the `queries` in files that pass `filters`."""

    queries: tuple[str, ...]
    filters: Filter | None = None
    limit: int = 10
    threshold: float = 0.0
    weights: HybridWeights = field(default_factory=HybridWeights)
    rerank: bool = True
