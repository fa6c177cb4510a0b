"""The sandbox: where code_interpreter code runs (behaviour.md 2.3, design 3.9). Sessions by thread, outputs as a stream.

A session is a Python interpreter with a working directory, `/mnt/data`, that no other session sees. Variables live as
long as the session; files live as long as the session too, so the engine fetches what it wants to keep.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from threadmill.domain.error import ThreadmillError, Unavailable
from threadmill.domain.ids import RunId, ThreadId

DATA_DIR = "/mnt/data"
"""Where the code finds and leaves files. Names given to this port are relative to it, with `/` between parts."""


class SandboxUnavailable(Unavailable):
    """No session can be had: the tool is off, or its start failed. `message` says why in one line."""


class FileRefused(ThreadmillError):
    """A file cannot be put or fetched: not there, not a regular file, a name that leaves the directory, disk full."""


class EndReason(StrEnum):
    """How an execution ended. Everything but COMPLETED comes with one clear line for the model."""

    COMPLETED = "completed"
    EXCEPTION = "exception"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_MANY_PROCESSES = "too_many_processes"
    DISK_FULL = "disk_full"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Logs:
    """Text the code printed, its last expression's value, or a traceback: append it to what came before."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture. `path` if the code saved it in the data directory, None for a figure that was only shown.

    `name` always has a suffix; `data` is at most 20 MB.
    """

    name: str
    data: bytes
    path: str | None = None


@dataclass(frozen=True, slots=True)
class FileWritten:
    """A file, not an image, that the execution made or changed in the data directory; fetch it with `get`."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Always the last output. `message` is one line for the model, None when completed.

    `state_kept` is False when the variables are lost; files survive if the next `start` says so.
    """

    reason: EndReason
    message: str | None = None
    state_kept: bool = True


Output: TypeAlias = Logs | Image | FileWritten | Ended


class SessionLossReason(StrEnum):
    """Why a thread's variables are gone although it had a session before."""

    IDLE = "idle"
    AGE = "age"
    KILLED = "killed"
    EVICTED = "evicted"


@dataclass(frozen=True, slots=True)
class Started:
    """`is_new`: no `start` told of this session before; its data directory began empty, so put the files again.

    `lost` says why the earlier session of the same thread is gone, if this process knew one; of a session that is not
    new, that its variables were lost when nobody listened to an execution any more. `put_paths` are the paths that were put
    into this session.
    """

    is_new: bool
    lost: SessionLossReason | None = None
    put_paths: frozenset[str] = frozenset()


class Sandbox(Protocol):
    """Sessions keyed by thread. Calls for one thread wait for each other, except `release` and `close`.

    When all places are taken a new session waits, oldest first, for one that nobody uses and no run keeps.
    """

    @property
    def unavailable_reason(self) -> str | None:
        """None if the tool can be offered, else why not, in one line."""
        ...

    async def start(self, thread: ThreadId, run: RunId | None = None) -> Started:
        """Make sure the thread has a living session; cheap if it has. Raises SandboxUnavailable.

        From now on the session is kept for `run`, between its calls too, until `release`.
        """
        ...

    def release(self, thread: ThreadId, run: RunId, seconds: float = 0) -> None:
        """`run` is over, or waits for its client: its session, if it keeps one, is kept for it so many `seconds` more.

        Then it is put away as soon as others wait for its place.
        """
        ...

    def execute(self, thread: ThreadId, code: str) -> AsyncGenerator[Output, None]:
        """Run code; outputs as they come, Ended last. Never raises for what the code does. Starts a session if none lives.

        Closing the generator interrupts the code and leaves the session usable. Raises SandboxUnavailable.
        """
        ...

    async def put(self, thread: ThreadId, path: str, content: AsyncIterator[bytes]) -> None:
        """Write a file into the data directory, replacing one of the same name. Raises FileRefused, SandboxUnavailable."""
        ...

    def get(self, thread: ThreadId, path: str) -> AsyncGenerator[bytes, None]:
        """A regular file's bytes, in pieces of at most 1 MiB. Raises FileRefused; the content is untrusted."""
        ...

    async def close(self, thread: ThreadId | None = None) -> None:
        """End the thread's session, or with None all of them and the sandbox itself. Idempotent."""
        ...
