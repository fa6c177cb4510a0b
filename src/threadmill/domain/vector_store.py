"""Vector stores, their files and file batches, with the table of a file's life (behaviour.md 7.2 to 7.4).

A status of a store or a batch is never kept: it is read off the counts of its files, so the two agree at every read,
whichever of them a client polls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from threadmill.domain.assistant import Metadata
from threadmill.domain.chunking import ChunkingStrategy, StaticChunking
from threadmill.domain.error import Conflict, InvalidRequest
from threadmill.domain.filter import Attributes
from threadmill.domain.ids import FileBatchId, FileId, Instant, ProjectId, StoreFileId, VectorStoreId

MAX_STORE_FILES = 10_000
MAX_BATCH_FILES = 2_000
MIN_EXPIRY_DAYS, MAX_EXPIRY_DAYS = 1, 365
HELPER_EXPIRY_DAYS = 7
"""Life of the stores that thread helpers and message attachments make, from when they were last used."""

SECONDS_A_DAY = 86_400
VECTOR_BYTES = 1_024
"""What a chunk's vector adds to `usage_bytes`: the service's 256 numbers of 4 bytes, whatever embedder is used here."""


class VectorStoreStatus(StrEnum):
    """A store whose files failed is `completed` all the same."""

    EXPIRED = "expired"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class VectorStoreFileStatus(StrEnum):
    """Life of a file in a store."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


VECTOR_STORE_FILE_TRANSITIONS: Mapping[VectorStoreFileStatus, frozenset[VectorStoreFileStatus]] = {
    VectorStoreFileStatus.IN_PROGRESS: frozenset(VectorStoreFileStatus) - {VectorStoreFileStatus.IN_PROGRESS},
    VectorStoreFileStatus.COMPLETED: frozenset(),
    VectorStoreFileStatus.CANCELLED: frozenset(),
    VectorStoreFileStatus.FAILED: frozenset(),
}


class FileErrorCode(StrEnum):
    """The three codes of a file's `last_error`."""

    SERVER_ERROR = "server_error"
    UNSUPPORTED_FILE = "unsupported_file"
    INVALID_FILE = "invalid_file"


@dataclass(frozen=True, slots=True)
class FileError:
    """Why a file could not be made searchable; shown to the client."""

    code: FileErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How many files are in which status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.in_progress + self.completed + self.failed + self.cancelled

    def __add__(self, other: "FileCounts") -> "FileCounts":
        return FileCounts(
            self.in_progress + other.in_progress,
            self.completed + other.completed,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
        )


@dataclass(frozen=True, slots=True)
class CountChange:
    """What the coming, ending or going of files adds to the counts and bytes of their store and batch; often negative."""

    file_counts: FileCounts = field(default_factory=FileCounts)
    usage_bytes: int = 0

    def __add__(self, other: "CountChange") -> "CountChange":
        return CountChange(self.file_counts + other.file_counts, self.usage_bytes + other.usage_bytes)

    @staticmethod
    def of(before: "VectorStoreFile | None", after: "VectorStoreFile | None") -> "CountChange":
        """One file went from `before` to `after`; None: it was not there, or is there no more."""
        return CountChange._of(before, -1) + CountChange._of(after, 1)

    @staticmethod
    def _of(file: "VectorStoreFile | None", sign: int) -> "CountChange":
        if file is None:
            return CountChange()
        return CountChange(FileCounts(**{str(file.status): sign}), sign * file.usage_bytes)


class FileBatchStatus(StrEnum):
    """`failed` is in the schema; this server never has a batch in it: files fail, not batches."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExpiresAfter:
    """A store's life in days since it was last used."""

    days: int
    anchor: str = "last_active_at"


@dataclass(frozen=True, slots=True)
class VectorStore:
    """A vector store as stored.

    `file_counts`, `usage_bytes` and `last_active_at` follow its files and its use, whatever its `version`: files that end
    do not get in the way of who changes the store itself.
    """

    id: VectorStoreId
    project: ProjectId
    created_at: Instant
    last_active_at: Instant
    name: str | None = None
    description: str | None = None
    usage_bytes: int = 0
    file_counts: FileCounts = field(default_factory=FileCounts)
    expires_after: ExpiresAfter | None = None
    metadata: Metadata = field(default_factory=dict[str, str])
    version: int = 1

    @property
    def expires_at(self) -> Instant | None:
        """`last_active_at` and the days of `expires_after` on top."""
        if self.expires_after is None:
            return None
        return self.last_active_at + self.expires_after.days * SECONDS_A_DAY

    def status(self, now: Instant) -> VectorStoreStatus:
        """What the store reads as at `now`."""
        if self.expires_at is not None and self.expires_at <= now:
            return VectorStoreStatus.EXPIRED
        return VectorStoreStatus.IN_PROGRESS if self.file_counts.in_progress else VectorStoreStatus.COMPLETED

    def counted(self, change: CountChange, used_at: Instant | None = None) -> "VectorStore":
        """The store once its files changed so; a use at `used_at` prolongs its life."""
        return replace(
            self,
            file_counts=self.file_counts + change.file_counts,
            usage_bytes=self.usage_bytes + change.usage_bytes,
            last_active_at=max(self.last_active_at, used_at or 0),
        )


@dataclass(frozen=True, slots=True)
class VectorStoreFile:
    """A file in a store; on the wire its `id` is `file_id`. `batch_id` names the batch that brought it, if any.

    `edition` names its chunks once it is completed: the same bytes, cut and embedded the same way, share one.
    """

    file_id: FileId
    vector_store_id: VectorStoreId
    project: ProjectId
    created_at: Instant
    status: VectorStoreFileStatus = VectorStoreFileStatus.IN_PROGRESS
    usage_bytes: int = 0
    last_error: FileError | None = None
    chunking_strategy: ChunkingStrategy = field(default_factory=StaticChunking)
    attributes: Attributes = field(default_factory=dict[str, str | float | bool])
    batch_id: FileBatchId | None = None
    edition: str | None = None
    version: int = 1

    @property
    def id(self) -> StoreFileId:
        """The key of its row."""
        return store_file_id(self.vector_store_id, self.file_id)

    def completed(self, edition: str, usage_bytes: int) -> "VectorStoreFile":
        """Searchable from now on. Raises Conflict unless it is in progress."""
        done = self._in_status(VectorStoreFileStatus.COMPLETED)
        return replace(done, edition=edition, usage_bytes=usage_bytes)

    def failed(self, error: FileError) -> "VectorStoreFile":
        """Not to be made searchable. Raises Conflict unless it is in progress."""
        return replace(self._in_status(VectorStoreFileStatus.FAILED), last_error=error, edition=None)

    def cancelled(self) -> "VectorStoreFile":
        """Given up by the client. Raises Conflict unless it is in progress."""
        return replace(self._in_status(VectorStoreFileStatus.CANCELLED), edition=None)

    def _in_status(self, status: VectorStoreFileStatus) -> "VectorStoreFile":
        if status not in VECTOR_STORE_FILE_TRANSITIONS[self.status]:
            raise Conflict(f"File '{self.file_id}' is {self.status} and cannot become {status}.")
        return replace(self, status=status, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class FileBatch:
    """Files added to a store in one request. `file_counts` follows them, whatever its `version`."""

    id: FileBatchId
    project: ProjectId
    vector_store_id: VectorStoreId
    created_at: Instant
    file_counts: FileCounts = field(default_factory=FileCounts)
    version: int = 1

    @property
    def status(self) -> FileBatchStatus:
        """In progress while a file is; else cancelled if a file was; else completed. Cancelling a batch whose files
        are all done therefore changes nothing, as at the service (behaviour.md 7.4).
        """
        if self.file_counts.in_progress:
            return FileBatchStatus.IN_PROGRESS
        return FileBatchStatus.CANCELLED if self.file_counts.cancelled else FileBatchStatus.COMPLETED

    def counted(self, change: CountChange) -> "FileBatch":
        """The batch once its files changed so."""
        return replace(self, file_counts=self.file_counts + change.file_counts)


def store_file_id(store_id: VectorStoreId, file_id: FileId) -> StoreFileId:
    """The key of a file's row in a store: a file is in a store once."""
    return StoreFileId(f"{store_id}/{file_id}")


ChunkTexts: TypeAlias = Sequence[str]


def usage_bytes(chunks: ChunkTexts) -> int:
    """What a file's chunks count as: their text in UTF-8 and a vector each. The service's 1,045 bytes for a text of 21
    bytes come out.
    """
    return sum(len(text.encode()) + VECTOR_BYTES for text in chunks)


def check_expiry(expires_after: ExpiresAfter, param: str = "expires_after") -> ExpiresAfter:
    """`expires_after` itself. Raises InvalidRequest outside 1 to 365 days."""
    days = expires_after.days
    if days < MIN_EXPIRY_DAYS:
        text = f"integer below minimum value. Expected a value >= {MIN_EXPIRY_DAYS}, but got {days} instead."
        raise InvalidRequest(f"Invalid '{param}.days': {text}", param=f"{param}.days", code="integer_below_min_value")
    if days > MAX_EXPIRY_DAYS:
        text = f"integer above maximum value. Expected a value <= {MAX_EXPIRY_DAYS}, but got {days} instead."
        raise InvalidRequest(f"Invalid '{param}.days': {text}", param=f"{param}.days", code="integer_above_max_value")
    return expires_after


def check_store_room(files: int, most: int = MAX_STORE_FILES) -> None:
    """Raises InvalidRequest when a store would have more `files` than it can hold."""
    if files > most:
        text = f"A vector store can hold at most {most:,} files; this one would have {files:,}."
        raise InvalidRequest(text, param="file_ids", code="too_many_files")
