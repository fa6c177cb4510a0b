"""What a back end gives: sessions without names or clocks. `session_pool.py` keeps them by thread."""

import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from threadmill.engine.ports.sandbox import FileRefused, Output

MAX_PATH_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session. Bytes, counts (threads are processes too), seconds of wall clock per execution.

    `memory` bounds each process's address space and what all of them use together, unread sockets included; `disk`
    everything the session can write, which is memory of the machine too; `grace` is what interrupted code has to end by
    itself.
    """

    wall: float = 120.0
    memory: int = 2 << 30
    processes: int = 64
    disk: int = 1 << 30
    files: int = 20_000
    log: int = 100_000
    grace: float = 2.0


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes that a session takes now, what it wrote included, beyond what all sessions share."""

    size: int


class LiveSession(Protocol):
    """One interpreter with its directory. Used by one caller at a time, except `interrupt` and `close`."""

    @property
    def alive(self) -> bool:
        """Whether it can still be used."""
        ...

    def execute(self, code: str) -> AsyncGenerator[Output | MemoryUse, None]:
        """See the port; must be read to its end. Between the outputs it tells what memory it uses, where it knows."""
        ...

    async def put(self, path: str, content: AsyncIterator[bytes]) -> None:
        """See the port."""
        ...

    def get(self, path: str) -> AsyncGenerator[bytes, None]:
        """See the port; must be read to its end."""
        ...

    async def interrupt(self) -> None:
        """Stop what runs, if anything; its execution ends INTERRUPTED."""
        ...

    async def close(self) -> None:
        """End it with all its processes. Idempotent."""
        ...


class Backend(Protocol):
    """Makes sessions."""

    @property
    def unavailable_reason(self) -> str | None:
        """Why it will never make one, in a line; None if it may."""
        ...

    async def open(self) -> LiveSession:
        """A new, empty session. Raises SandboxUnavailable."""
        ...

    async def close(self) -> None:
        """End everything. Idempotent."""
        ...


def has_controls(text: str) -> bool:
    """Whether a text has control characters or halves of surrogate pairs, which no header, log or database takes."""
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


def checked_path(path: str) -> str:
    """A relative path that stays inside the data directory and can be told: no control characters, no half characters,
    at most 1,024 bytes. Raises FileRefused.
    """
    if has_controls(path) or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        raise FileRefused("The name has characters that cannot be told, or is too long.")
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or not pure.name:
        raise FileRefused(f"'{path}' is not a name inside /mnt/data.")
    return str(pure)
