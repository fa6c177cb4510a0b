"""The Chunks and StoreFiles ports on PostgreSQL."""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from threadmill.adapters.postgres.database import Database, Transaction
from threadmill.adapters.postgres.statement import Statement
from threadmill.adapters.sql import chunk_statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.readable import RawRow, ReadableRows, by_first
from threadmill.domain.ids import FileId, ProjectId, StoreFileId, VectorStoreId
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.vector_store import VectorStoreFile, store_file_id
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.search_index import IndexedChunk, IndexedFile

SWEEP_BATCH = 8
"""Editions removed in one transaction: other writers wait for it."""

_SEALED = Statement(s.SEALED)
_EDITION_LOCK = Statement(s.EDITION_LOCK)
_CHUNKS_OF = Statement(s.CHUNKS_OF)
_DELETE_UNSEALED = Statement(s.DELETE_UNSEALED)
_DELETE_UNREFERENCED = Statement(s.DELETE_UNREFERENCED)
_INSERT_EDITION = Statement(s.INSERT_EDITION)
_INSERT_CHUNK = Statement(s.INSERT_CHUNK)
_SEAL = Statement(s.SEAL)
_UNREFERENCED = Statement(s.UNREFERENCED)
_EDITIONS_OF = Statement(s.EDITIONS_OF)
_EDITION_OF = Statement(s.EDITION_OF)
_TEXT_OF = Statement(s.TEXT_OF)
_PENDING = Statement(s.PENDING)
_COMPLETED = Statement(s.COMPLETED)
_HOLDING = Statement(s.HOLDING)


@cache
def _store_files(count: int) -> Statement:
    return Statement(s.store_files(count))


class PostgresChunks:
    """See both ports."""

    def __init__(self, database: Database, files: ReadableRows) -> None:
        self._database: Database = database
        self._files: ReadableRows = files

    async def sealed(self, edition: str) -> Edition | None:
        """See the port."""
        found = await self._database.rows(_SEALED, edition=edition)
        if not found:
            return None
        chunks, size, notes = found[0]
        return Edition(edition, chunks, size, None if notes is None else msgspec.json.decode(notes, type=ReadingNotes))

    async def chunks(self, edition: str) -> Sequence[IndexedChunk]:
        """See the port."""
        return [IndexedChunk(*row) for row in await self._database.rows(_CHUNKS_OF, edition=edition)]

    async def begin(self, edition: str) -> None:
        """See the port."""
        await self._database.write(lambda t: _begin(t, edition))

    async def write(self, edition: str, first: int, chunks: Sequence[IndexedChunk]) -> None:
        """See the port."""
        rows = _rows(edition, first, chunks)
        await self._database.write(lambda t: t.each(_INSERT_CHUNK, rows))

    async def seal(self, edition: Edition) -> None:
        """See the port."""
        values = _seal_values(edition)
        await self._database.write(lambda t: t.count(_SEAL, **values))

    async def keep(self, edition: Edition, chunks: Sequence[IndexedChunk]) -> None:
        """See the port."""
        rows, values = _rows(edition.id, 0, chunks), _seal_values(edition)

        async def write(t: Transaction) -> None:
            await _begin(t, edition.id)
            await t.each(_INSERT_CHUNK, rows)
            await t.count(_SEAL, **values)

        await self._database.write(write)

    async def sweep(self, spare: frozenset[str]) -> int:
        """See the port."""
        unreferenced = [row[0] for row in await self._database.rows(_UNREFERENCED) if row[0] not in spare][:SWEEP_BATCH]

        async def write(t: Transaction) -> int:
            removed = 0
            for edition in unreferenced:
                # Whoever is about to name it holds it; behind that the next statement sees the name.
                await t.rows(_EDITION_LOCK, edition=edition)
                removed += await t.count(_DELETE_UNREFERENCED, edition=edition)
            return removed

        return await self._database.write(write) if unreferenced else 0

    async def editions(self, store_id: VectorStoreId) -> Mapping[FileId, str]:
        """See the port."""
        return {
            FileId(file_id): edition for file_id, edition in await self._database.rows(_EDITIONS_OF, store_id=store_id)
        }

    async def read(self, store_id: VectorStoreId, file_id: FileId) -> IndexedFile | None:
        """See the port."""
        found = await self._database.rows(_EDITION_OF, row_id=store_file_id(store_id, file_id))
        if not found:
            return None
        edition: str = found[0][0]
        return IndexedFile(file_id, edition, await self.chunks(edition))

    async def texts(self, store_id: VectorStoreId, places: Sequence[tuple[FileId, int]]) -> Sequence[str | None]:
        """See the port."""

        async def read(t: Transaction) -> list[str | None]:
            rows = [await t.rows(_TEXT_OF, row_id=store_file_id(store_id, file_id), seq=seq) for file_id, seq in places]
            return [row[0][0] if row else None for row in rows]

        return await self._database.read(read)

    async def held(self, ids: Sequence[StoreFileId]) -> Sequence[VectorStoreFile]:
        """See the port."""
        if not ids:
            return []
        count = 1 << (len(ids) - 1).bit_length()  # few statements for any number of keys
        keys = {f"id_{number}": ids[min(number, len(ids) - 1)] for number in range(count)}
        return self._files.read(by_first(await self._database.rows(_store_files(count), **keys)), _file)

    async def pending(self, limit: int, beside: frozenset[str]) -> Sequence[VectorStoreFile]:
        """See the port."""
        found = await self._database.rows(_PENDING, rows=self._files.to_read(limit) + len(beside))
        return self._files.read(by_first([row for row in found if row[0] not in beside]), _file)[:limit]

    async def completed(self, limit: int, after: StoreFileId | None) -> Sequence[VectorStoreFile]:
        """See the port."""
        found = await self._database.rows(_COMPLETED, rows=self._files.to_read(limit), after=after or "")
        return self._files.read(by_first(found), _file)[:limit]

    async def holding(self, project: ProjectId, file_id: FileId) -> Sequence[VectorStoreFile]:
        """See the port."""
        found = await self._database.rows(_HOLDING, project=project, file_id=file_id)
        return self._files.read(by_first(found), _file)


def _file(row: RawRow) -> VectorStoreFile:
    return decode(VectorStoreFile, row[1])


async def _begin(t: Transaction, edition: str) -> None:
    await t.count(_DELETE_UNSEALED, edition=edition)
    await t.count(_INSERT_EDITION, edition=edition)


def _rows(edition: str, first: int, chunks: Sequence[IndexedChunk]) -> list[dict[str, object]]:
    return [
        {"edition": edition, "seq": seq, "text": one.text, "vector": one.vector}
        for seq, one in enumerate(chunks, first)
    ]


def _seal_values(edition: Edition) -> dict[str, object]:
    notes = None if edition.notes is None else msgspec.json.encode(edition.notes)
    return {"edition": edition.id, "chunks": edition.chunks, "usage_bytes": edition.usage_bytes, "notes": notes}
