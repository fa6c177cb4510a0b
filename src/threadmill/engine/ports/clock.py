"""Time and randomness, from outside."""

from typing import Protocol

from threadmill.domain.ids import (
    AssistantId,
    CallId,
    FileBatchId,
    FileId,
    Instant,
    MessageId,
    RunId,
    RunStepId,
    ThreadId,
    UploadId,
    UploadPartId,
    VectorStoreId,
)


class Clock(Protocol):
    """Wall time in Unix seconds, whole as the wire has them or with fractions, and monotonic seconds for durations."""

    def now(self) -> Instant:
        """The present second."""
        ...

    def precise(self) -> float:
        """The present second, with its fraction."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed."""
        ...


class FileIds(Protocol):
    """Fresh ids of files and of what holds them (behaviour.md 8.5)."""

    def file(self) -> FileId:
        """file-…."""
        ...

    def vector_store(self) -> VectorStoreId:
        """vs_…."""
        ...

    def file_batch(self) -> FileBatchId:
        """vsfb_…."""
        ...

    def upload(self) -> UploadId:
        """upload_…."""
        ...

    def upload_part(self) -> UploadPartId:
        """part_…."""
        ...


class Ids(FileIds, Protocol):
    """Fresh ids of each kind (behaviour.md 8.5)."""

    def assistant(self) -> AssistantId:
        """asst_…."""
        ...

    def thread(self) -> ThreadId:
        """thread_…."""
        ...

    def message(self) -> MessageId:
        """msg_…."""
        ...

    def run(self) -> RunId:
        """run_…."""
        ...

    def step(self) -> RunStepId:
        """step_…."""
        ...

    def call(self) -> CallId:
        """call_…."""
        ...
