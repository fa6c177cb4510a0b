"""The one error tree. What happened is said here; which HTTP status it gets is `wire/error.py`'s one table.

ThreadmillError
├── InvalidRequest           the request cannot be understood or breaks a limit
├── Unauthenticated          no key, or a key nobody knows
├── Forbidden                from a host or a page that may not ask at all
├── NotFound                 no such object for this caller
├── Conflict                 understood, but not in the present status
│   ├── ThreadLocked         a run is active on the thread
│   ├── ThreadFull           it holds as many messages as a thread may
│   ├── RunNotCancellable
│   ├── RunNotUpdatable
│   ├── OutputsNotAccepted   wrong status for tool outputs
│   └── WrongToolOutputs     the ids do not match the required action
├── Unavailable              a part this server needs is missing or broken
│   └── DatabaseUnavailable  the database cannot be read or written right now
├── Unreadable               a stored object that this version cannot understand
└── VersionConflict          internal: somebody else wrote first; decide again
"""

from threadmill.domain.ids import (
    AssistantId,
    FileBatchId,
    FileId,
    MessageId,
    RunId,
    RunStepId,
    ThreadId,
    UploadId,
    VectorStoreId,
)


class ThreadmillError(Exception):
    """Root of every error of ours.

    `message` is shown to the client, `param` names the offending parameter, `code` is machine-readable.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message: str = message
        self.param: str | None = param
        self.code: str | None = code


class InvalidRequest(ThreadmillError):
    """The request cannot be understood or breaks a limit (behaviour.md 8.3)."""


class Unauthenticated(ThreadmillError):
    """No key, or a key nobody knows (behaviour.md 8.3)."""


class Forbidden(ThreadmillError):
    """The request's host or origin may not use this server, whatever its key."""


class NotFound(ThreadmillError):
    """No such object in the caller's project (behaviour.md 8.3). Another project's object answers the same."""


class Conflict(ThreadmillError):
    """Understood, but refused in the object's present status."""


class ThreadLocked(Conflict):
    """The thread already has an active run (behaviour.md 1.4). Clients match these texts by substring."""


class ThreadFull(Conflict):
    """The thread holds as many messages as it may (behaviour.md 4)."""


class RunNotCancellable(Conflict):
    """Cancel in a status that does not take it (behaviour.md 1.5)."""


class RunNotUpdatable(Conflict):
    """Modify while the run is active (behaviour.md 1.9)."""


class OutputsNotAccepted(Conflict):
    """Tool outputs in a status that does not wait for them (behaviour.md 1.6)."""


class WrongToolOutputs(Conflict):
    """The submitted ids are not exactly the awaited ones (behaviour.md 1.6)."""


class Unavailable(ThreadmillError):
    """A part this server needs is missing, broken or shutting down."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be read or written right now: locked, full, gone. Nothing was written; runs try again."""


class Unreadable(ThreadmillError):
    """A stored object that is damaged or of another version: it stays so until its operator mends it."""


class VersionConflict(ThreadmillError):
    """A write found its guard broken: somebody else wrote first. The use case reads again and decides again."""


def no_assistant(assistant_id: AssistantId) -> NotFound:
    """Text of behaviour.md 8.3."""
    return NotFound(f"No assistant found with id '{assistant_id}'.")


def no_thread(thread_id: ThreadId) -> NotFound:
    """Text of behaviour.md 8.3."""
    return NotFound(f"No thread found with id '{thread_id}'.")


def no_message(message_id: MessageId) -> NotFound:
    """Text by the pattern of behaviour.md 8.3."""
    return NotFound(f"No message found with id '{message_id}'.")


def no_run(run_id: RunId) -> NotFound:
    """Text by the pattern of behaviour.md 8.3."""
    return NotFound(f"No run found with id '{run_id}'.")


def no_run_step(step_id: RunStepId) -> NotFound:
    """Text of behaviour.md 8.3."""
    return NotFound(f"No run step found with id '{step_id}'.")


def no_file(file_id: FileId) -> NotFound:
    """Text of behaviour.md 7.1."""
    return NotFound(f"No such File object: {file_id}", param="id")


def no_upload(upload_id: UploadId) -> NotFound:
    """Text by the pattern of a file's."""
    return NotFound(f"No such Upload object: {upload_id}", param="id")


def no_vector_store(store_id: VectorStoreId) -> NotFound:
    """Text from memory (behaviour.md 8.3: not found in evidence)."""
    return NotFound(f"Vector store {store_id} not found.")


def no_store_file(file_id: FileId, store_id: VectorStoreId) -> NotFound:
    """Text of our own."""
    return NotFound(f"No file found with id '{file_id}' in vector store '{store_id}'.")


def no_file_batch(batch_id: FileBatchId) -> NotFound:
    """Text of our own."""
    return NotFound(f"No file batch found with id '{batch_id}'.")


def messages_locked(thread_id: ThreadId, run_id: RunId) -> ThreadLocked:
    """Text of behaviour.md 1.4."""
    return ThreadLocked(f"Can't add messages to {thread_id} while a run {run_id} is active.")


def runs_locked(thread_id: ThreadId, run_id: RunId) -> ThreadLocked:
    """Text of behaviour.md 1.4."""
    return ThreadLocked(f"Thread {thread_id} already has an active run {run_id}.")


def thread_full(thread_id: ThreadId, most: int) -> ThreadFull:
    """Our text: no recording shows the service's."""
    text = f"Thread {thread_id} cannot hold more than {most} messages. Delete some, or begin a new thread."
    return ThreadFull(text, param="messages", code="thread_message_limit_exceeded")
