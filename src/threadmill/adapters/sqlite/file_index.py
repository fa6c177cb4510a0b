"""The FileIndex port on the SQLite file."""

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeVar

from threadmill.adapters.sql import statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.readable import ReadableTables, by_first, by_last
from threadmill.adapters.sqlite.database import Database
from threadmill.adapters.sqlite.statement import Statement
from threadmill.domain.assistant import Assistant
from threadmill.domain.file import File
from threadmill.domain.ids import FileId, Instant, ProjectId, ThreadId
from threadmill.domain.thread import Thread
from threadmill.domain.upload import Upload

T = TypeVar("T")

_FILE = Statement(s.row_by_id(File))
_HOLDERS = {kind: Statement(statement) for kind, statement in s.REFERENCING.items()}
_EXPIRED_FILES = Statement(s.EXPIRED_FILES)
_FILES_MADE_IN = Statement(s.FILES_MADE_IN)
_DUE_UPLOADS = Statement(s.DUE_UPLOADS)
_BLOB_USED = Statement(s.BLOB_USED)


class SqliteFileIndex:
    """See the port."""

    def __init__(self, database: Database, readable: ReadableTables) -> None:
        self._database: Database = database
        self._readable: ReadableTables = readable

    async def _all(self, statement: Statement, **parameters: object) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda cursor: statement.run(cursor, **parameters).fetchall())

    async def find_many(self, project: ProjectId, file_ids: Sequence[FileId]) -> Sequence[File]:
        """See the port."""

        def read(cursor: sqlite3.Cursor) -> list[File]:
            found = [_FILE.run(cursor, row_id=one, project=project).fetchone() for one in file_ids]
            rows = by_last([row for row in found if row is not None])
            return self._readable.of(File).read(rows, lambda row: decode(File, row[0]))

        return await self._database.read(read) if file_ids else []

    async def created_in_thread(self, project: ProjectId, thread_id: ThreadId) -> Sequence[File]:
        """See the port."""
        found = await self._all(_FILES_MADE_IN, project=project, thread_id=thread_id)
        return self._read(File, found)

    async def referencing_objects(self, project: ProjectId, file_id: FileId) -> Sequence[Assistant | Thread]:
        """See the port."""
        threads = await self._all(_HOLDERS[Thread], project=project, file_id=file_id)
        found = await self._all(_HOLDERS[Assistant], project=project, file_id=file_id)
        return [*self._read(Assistant, found), *self._read(Thread, threads)]

    async def expired(self, at: Instant, limit: int) -> Sequence[File]:
        """See the port."""
        found = await self._all(_EXPIRED_FILES, at=at, rows=self._readable.of(File).to_read(limit))
        return self._read(File, found)[:limit]

    async def due_uploads(self, at: Instant, limit: int) -> Sequence[Upload]:
        """See the port."""
        found = await self._all(_DUE_UPLOADS, at=at, rows=self._readable.of(Upload).to_read(limit))
        return self._read(Upload, found)[:limit]

    def _read(self, kind: type[T], found: Sequence[tuple[Any, ...]]) -> list[T]:
        """Those of rows (id, data) that can be read."""
        return self._readable.of(kind).read(by_first(found), lambda row: decode(kind, row[1]))

    async def blobs_in_use(self, keys: Sequence[str]) -> frozenset[str]:
        """See the port."""

        def read(cursor: sqlite3.Cursor) -> frozenset[str]:
            return frozenset(key for key in keys if _BLOB_USED.run(cursor, key=key).fetchone() is not None)

        return await self._database.read(read)
