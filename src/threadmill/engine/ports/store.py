"""The store: objects, and transactions as values (ADR-0003)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from threadmill.domain.assistant import Assistant
from threadmill.domain.event import Event
from threadmill.domain.file import File, FilePurpose
from threadmill.domain.ids import (
    AssistantId,
    FileBatchId,
    FileId,
    Instant,
    MessageId,
    ProjectId,
    RunId,
    StoreFileId,
    ThreadId,
    UploadId,
    UploadPartId,
    VectorStoreId,
)
from threadmill.domain.message import Message
from threadmill.domain.page import Page, PageQuery
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.domain.upload import Upload, UploadPart, UploadStatus
from threadmill.domain.vector_store import CountChange, FileBatch, VectorStore, VectorStoreFile, VectorStoreFileStatus

Row: TypeAlias = (
    Assistant
    | Thread
    | Message
    | Run
    | RunStep
    | File
    | VectorStore
    | VectorStoreFile
    | FileBatch
    | Upload
    | UploadPart
)
R = TypeVar(
    "R",
    Assistant,
    Thread,
    Message,
    Run,
    RunStep,
    File,
    VectorStore,
    VectorStoreFile,
    FileBatch,
    Upload,
    UploadPart,
)


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row. An active run on a thread that has one already is refused with VersionConflict."""

    row: Row


@dataclass(frozen=True, slots=True)
class Update:
    """The row's new value; the stored one must have version `expected`, else VersionConflict.

    What `AddCounts` changes of vector stores and batches is left as it is stored.
    """

    row: Row
    expected: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the row and everything that belongs to it; VersionConflict if it is not there, or not of version `expected`."""

    kind: type[Row]
    id: AssistantId | ThreadId | MessageId | FileId | VectorStoreId | StoreFileId | UploadId | UploadPartId
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class AddCounts:
    """Add to what a vector store or a batch counts, whatever its version, which stays; nothing if it is gone.

    Exact as long as each goes with the guarded writes of the files it counts. `used_at`: the store was used then.
    """

    kind: type[VectorStore] | type[FileBatch]
    id: VectorStoreId | FileBatchId
    change: CountChange = field(default_factory=CountChange)
    used_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class ThreadIsFree:
    """Guard: the thread exists and has no active run, else VersionConflict."""

    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class EpochGuard:
    """Guard: the run still has this epoch, else VersionConflict. Every write of a worker carries one (ADR-0004)."""

    run_id: RunId
    epoch: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """Guard: the edition's chunks are all there, else VersionConflict."""

    edition: str


@dataclass(frozen=True, slots=True)
class ThreadCapacity:
    """Guard: with `new` messages more the thread holds at most `most`, else ThreadFull. A new thread holds none."""

    thread_id: ThreadId
    new: int
    most: int


@dataclass(frozen=True, slots=True)
class StoreHasRoom:
    """Guard: with `new` files more the vector store holds at most `most`, else Invalid."""

    vector_store_id: VectorStoreId
    new: int
    most: int


Guard: TypeAlias = ThreadIsFree | ThreadCapacity | StoreHasRoom | EpochGuard | Sealed
Write: TypeAlias = Insert | Update | Delete | AddCounts


@dataclass(frozen=True, slots=True)
class WriteSet:
    """One transaction as a value: applied whole, in order, or not at all.

    `events` belong to `run_id` and are appended to its log with gapless sequence numbers from 1.
    """

    writes: tuple[Write, ...] = ()
    guards: tuple[Guard, ...] = ()
    run_id: RunId | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows: always one project's; narrowed to one thread, run, purpose, store, batch, status, upload where given."""

    project: ProjectId
    thread_id: ThreadId | None = None
    run_id: RunId | None = None
    purpose: FilePurpose | None = None
    vector_store_id: VectorStoreId | None = None
    batch_id: FileBatchId | None = None
    status: VectorStoreFileStatus | UploadStatus | None = None
    upload_id: UploadId | None = None

    def column_values(self) -> dict[str, str]:
        """Field of the row -> value it must have, besides the project; empty for all rows."""
        given = {
            "thread_id": self.thread_id,
            "run_id": self.run_id,
            "purpose": self.purpose,
            "vector_store_id": self.vector_store_id,
            "batch_id": self.batch_id,
            "status": self.status,
            "upload_id": self.upload_id,
        }
        return {name: str(value) for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its sequence number in the run's log."""

    seq: int
    event: Event


class Store(Protocol):
    """Objects and the run logs. Reads see every write that was acknowledged before them."""

    async def apply(self, write_set: WriteSet) -> int:
        """Apply durably; the sequence number of the first appended event (0 without events).

        Raises VersionConflict when a guard or expected version does not hold (ThreadFull, InvalidRequest for what has no room); then nothing
        was written. Raises Unavailable
        when the disk is full or the database cannot be written.
        """
        ...

    async def get(self, kind: type[R], project: ProjectId, object_id: str) -> R | None:
        """One object of the project, None if there is none."""
        ...

    async def page(self, kind: type[R], scope: Scope, query: PageQuery) -> Page[R]:
        """One page in (created_at, insertion) order. Raises InvalidRequest for a cursor that names no row of the scope."""
        ...

    async def history(self, thread_id: ThreadId, newest: int | None = None) -> Sequence[Message]:
        """The thread's messages, oldest first; only the `newest` n of them if given."""
        ...

    async def steps(self, run_id: RunId) -> Sequence[RunStep]:
        """All steps of a run, oldest first."""
        ...

    async def active_run(self, thread_id: ThreadId) -> Run | None:
        """The run that locks the thread, if any."""
        ...

    async def events(self, run_id: RunId, after: int = 0) -> Sequence[StoredEvent]:
        """The run's log behind sequence number `after`."""
        ...
