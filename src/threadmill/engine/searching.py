"""A search through stores, from the caller's words to chunks with their files (behaviour.md 7.5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from threadmill.domain.filter import Attributes
from threadmill.domain.ids import FileId, ProjectId, VectorStoreId
from threadmill.domain.new_store import StoreSearch
from threadmill.engine.ports.bundle import Ports


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk worth showing and the file it is from; `score` from 0 to 1."""

    file_id: FileId
    filename: str
    score: float
    attributes: Attributes
    text: str


async def search_stores(
    ports: Ports, project: ProjectId, store_ids: Sequence[VectorStoreId], wanted: StoreSearch
) -> Sequence[Match]:
    """The best chunks of all the stores, best first; stores that do not exist are empty. Raises Unavailable."""
    raise NotImplementedError
