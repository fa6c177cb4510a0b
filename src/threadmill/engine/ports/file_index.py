"""Questions about files that no list answers: who names one, whose time has come, which bytes are in use."""

from collections.abc import Sequence
from typing import Protocol

from threadmill.domain.assistant import Assistant
from threadmill.domain.file import File
from threadmill.domain.ids import FileId, Instant, ProjectId, ThreadId
from threadmill.domain.thread import Thread
from threadmill.domain.upload import Upload


class FileQueries(Protocol):
    """Reads beside the Store's; they see every write that was acknowledged before them."""

    async def find_many(self, project: ProjectId, file_ids: Sequence[FileId]) -> Sequence[File]:
        """Those of the files that exist in the project, in the order asked."""
        ...

    async def created_in_thread(self, project: ProjectId, thread_id: ThreadId) -> Sequence[File]:
        """The files code made in the thread, oldest first."""
        ...

    async def referencing_objects(self, project: ProjectId, file_id: FileId) -> Sequence[Assistant | Thread]:
        """The assistants and threads whose code interpreter is given the file."""
        ...

    async def expired(self, at: Instant, limit: int) -> Sequence[File]:
        """Files whose `expires_at` is `at` or before."""
        ...

    async def due_uploads(self, at: Instant, limit: int) -> Sequence[Upload]:
        """Uploads whose `due_at` is `at` or before."""
        ...

    async def blobs_in_use(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that some file, or some part of an upload, of any project has."""
        ...
