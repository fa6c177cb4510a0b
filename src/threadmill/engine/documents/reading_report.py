"""How a file was read in each store that has it: for the operator's eyes."""

from collections.abc import Sequence
from dataclasses import dataclass

from threadmill.domain.ids import FileId, StoreFileId
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.vector_store import VectorStoreFile
from threadmill.engine.ports.bundle import Ports

PAGE = 500
"""Rows looked at in one read."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """A file in one store: its row, its reader's notes (None: it was read before notes were kept), its chunks' texts."""

    row: VectorStoreFile
    notes: ReadingNotes | None
    chunks: Sequence[str]


async def readings(ports: Ports, file_id: str) -> list[FileReading]:
    """The places of a file in the stores of all projects. Raises Unavailable."""
    found: list[FileReading] = []
    after: StoreFileId | None = None
    while rows := await ports.search.stores.completed(PAGE, after):
        found += [await _reading(ports, row) for row in rows if row.file_id == FileId(file_id)]
        after = rows[-1].id
    return found


async def _reading(ports: Ports, row: VectorStoreFile) -> FileReading:
    edition = row.edition or ""
    held = await ports.search.chunks.sealed(edition)
    chunks = await ports.search.chunks.chunks(edition)
    return FileReading(row, None if held is None else held.notes, [chunk.text for chunk in chunks])
