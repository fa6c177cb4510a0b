"""The Chunks and StoreFiles ports on the SQLite file."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from threadmill.adapters.sql import chunk_statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.readable import RawRow, ReadableRows, by_first
from threadmill.adapters.sqlite.database import Database
from threadmill.adapters.sqlite.statement import Statement
from threadmill.domain.ids import FileId, ProjectId, StoreFileId, VectorStoreId
from threadmill.domain.reading_notes import ReadingNotes
from threadmill.domain.vector_store import VectorStoreFile, store_file_id
from threadmill.engine.ports.chunks import Edition
from threadmill.engine.ports.search_index import IndexedChunk, IndexedFile

SWEEP_BATCH = 8
"""Editions removed in one transaction: other writers wait for it."""

SEALED = Statement(s.SEALED)
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


class SqliteChunks:
    """See both ports."""

    def __init__(self, database: Database, files: ReadableRows) -> None:
        self._database: Database = database
        self._files: ReadableRows = files

    async def _all(self, statement: Statement, **parameters: object) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda cursor: statement.run(cursor, **parameters).fetchall())

    async def sealed(self, edition: str) -> Edition | None:
        """See the port."""
        found = await self._all(SEALED, edition=edition)
        if not found:
            return None
        chunks, size, notes = found[0]
        return Edition(edition, chunks, size, None if notes is None else msgspec.json.decode(notes, type=ReadingNotes))

    async def chunks(self, edition: str) -> Sequence[IndexedChunk]:
        """See the port."""
        return [IndexedChunk(*row) for row in await self._all(_CHUNKS_OF, edition=edition)]

    async def begin(self, edition: str) -> None:
        """See the port."""
        await self._database.write(lambda cursor: _begin(cursor, edition))

    async def write(self, edition: str, first: int, chunks: Sequence[IndexedChunk]) -> None:
        """See the port."""
        rows = _rows(edition, first, chunks)
        await self._database.write(lambda cursor: cursor.executemany(_INSERT_CHUNK.sql, rows))

    async def seal(self, edition: Edition) -> None:
        """See the port."""
        values = _seal_values(edition)
        await self._database.write(lambda cursor: _SEAL.run(cursor, **values))

    async def keep(self, edition: Edition, chunks: Sequence[IndexedChunk]) -> None:
        """See the port."""
        rows, values = _rows(edition.id, 0, chunks), _seal_values(edition)

        def write(cursor: sqlite3.Cursor) -> None:
            _begin(cursor, edition.id)
            cursor.executemany(_INSERT_CHUNK.sql, rows)
            _SEAL.run(cursor, **values)

        await self._database.write(write)

    async def sweep(self, spare: frozenset[str]) -> int:
        """See the port."""
        unreferenced = [row[0] for row in await self._all(_UNREFERENCED) if row[0] not in spare][:SWEEP_BATCH]

        def write(cursor: sqlite3.Cursor) -> int:
            return sum(_DELETE_UNREFERENCED.run(cursor, edition=one).rowcount for one in unreferenced)

        return await self._database.write(write) if unreferenced else 0

    async def editions(self, store_id: VectorStoreId) -> Mapping[FileId, str]:
        """See the port."""
        return {FileId(file_id): edition for file_id, edition in await self._all(_EDITIONS_OF, store_id=store_id)}

    async def read(self, store_id: VectorStoreId, file_id: FileId) -> IndexedFile | None:
        """See the port."""
        found = await self._all(_EDITION_OF, row_id=store_file_id(store_id, file_id))
        if not found:
            return None
        edition: str = found[0][0]
        return IndexedFile(file_id, edition, await self.chunks(edition))

    async def texts(self, store_id: VectorStoreId, places: Sequence[tuple[FileId, int]]) -> Sequence[str | None]:
        """See the port."""

        def read(cursor: sqlite3.Cursor) -> list[str | None]:
            rows = (
                _TEXT_OF.run(cursor, row_id=store_file_id(store_id, file_id), seq=seq).fetchone()
                for file_id, seq in places
            )
            return [None if row is None else row[0] for row in rows]

        return await self._database.read(read)

    async def held(self, ids: Sequence[StoreFileId]) -> Sequence[VectorStoreFile]:
        """See the port."""
        if not ids:
            return []
        count = 1 << (len(ids) - 1).bit_length()  # few statements for any number of keys
        keys = {f"id_{number}": ids[min(number, len(ids) - 1)] for number in range(count)}
        return self._files.read(by_first(await self._all(_store_files(count), **keys)), _file)

    async def pending(self, limit: int, beside: frozenset[str]) -> Sequence[VectorStoreFile]:
        """See the port."""
        found = await self._all(_PENDING, rows=self._files.to_read(limit) + len(beside))
        return self._files.read(by_first([row for row in found if row[0] not in beside]), _file)[:limit]

    async def completed(self, limit: int, after: StoreFileId | None) -> Sequence[VectorStoreFile]:
        """See the port."""
        found = await self._all(_COMPLETED, rows=self._files.to_read(limit), after=after or "")
        return self._files.read(by_first(found), _file)[:limit]

    async def holding(self, project: ProjectId, file_id: FileId) -> Sequence[VectorStoreFile]:
        """See the port."""
        found = await self._all(_HOLDING, project=project, file_id=file_id)
        return self._files.read(by_first(found), _file)


def _file(row: RawRow) -> VectorStoreFile:
    return decode(VectorStoreFile, row[1])


def _begin(cursor: sqlite3.Cursor, edition: str) -> None:
    _DELETE_UNSEALED.run(cursor, edition=edition)
    _INSERT_EDITION.run(cursor, edition=edition)


def _rows(edition: str, first: int, chunks: Sequence[IndexedChunk]) -> list[dict[str, object]]:
    return [
        {"edition": edition, "seq": seq, "text": one.text, "vector": one.vector}
        for seq, one in enumerate(chunks, first)
    ]


def _seal_values(edition: Edition) -> dict[str, object]:
    notes = None if edition.notes is None else msgspec.json.encode(edition.notes)
    return {"edition": edition.id, "chunks": edition.chunks, "usage_bytes": edition.usage_bytes, "notes": notes}
