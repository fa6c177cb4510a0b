"""The FileIndex port on PostgreSQL."""

from collections.abc import Sequence
from typing import Any, TypeVar

from threadmill.adapters.postgres.database import Database, Transaction
from threadmill.adapters.postgres.statement import Statement
from threadmill.adapters.sql import statements as s
from threadmill.adapters.sql.codec import decode
from threadmill.adapters.sql.readable import ReadableTables, by_first, by_last
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


class PostgresFileIndex:
    """See the port."""

    def __init__(self, database: Database, readable: ReadableTables) -> None:
        self._database: Database = database
        self._readable: ReadableTables = readable

    async def find_many(self, project: ProjectId, file_ids: Sequence[FileId]) -> Sequence[File]:
        """See the port."""

        async def read(t: Transaction) -> list[File]:
            rows = by_last([row for one in file_ids for row in await t.rows(_FILE, row_id=one, project=project)])
            return self._readable.of(File).read(rows, lambda row: decode(File, row[0]))

        return await self._database.read(read) if file_ids else []

    async def created_in_thread(self, project: ProjectId, thread_id: ThreadId) -> Sequence[File]:
        """See the port."""
        found = await self._database.rows(_FILES_MADE_IN, project=project, thread_id=thread_id)
        return self._read(File, found)

    async def referencing_objects(self, project: ProjectId, file_id: FileId) -> Sequence[Assistant | Thread]:
        """See the port."""
        threads = await self._database.rows(_HOLDERS[Thread], project=project, file_id=file_id)
        found = await self._database.rows(_HOLDERS[Assistant], project=project, file_id=file_id)
        return [*self._read(Assistant, found), *self._read(Thread, threads)]

    async def expired(self, at: Instant, limit: int) -> Sequence[File]:
        """See the port."""
        found = await self._database.rows(_EXPIRED_FILES, at=at, rows=self._readable.of(File).to_read(limit))
        return self._read(File, found)[:limit]

    async def due_uploads(self, at: Instant, limit: int) -> Sequence[Upload]:
        """See the port."""
        found = await self._database.rows(_DUE_UPLOADS, at=at, rows=self._readable.of(Upload).to_read(limit))
        return self._read(Upload, found)[:limit]

    def _read(self, kind: type[T], found: Sequence[tuple[Any, ...]]) -> list[T]:
        """Those of rows (id, data) that can be read."""
        return self._readable.of(kind).read(by_first(found), lambda row: decode(kind, row[1]))

    async def blobs_in_use(self, keys: Sequence[str]) -> frozenset[str]:
        """See the port."""

        async def read(t: Transaction) -> frozenset[str]:
            return frozenset([key for key in keys if await t.rows(_BLOB_USED, key=key)])

        return await self._database.read(read)
