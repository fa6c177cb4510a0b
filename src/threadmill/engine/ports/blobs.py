"""Blobs: the bytes of files, kept beside the database."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from threadmill.domain.error import Unavailable
from threadmill.domain.file import Blob

InUse = Callable[[Sequence[str]], Awaitable[frozenset[str]]]
"""Which of these keys some file still has, says the store."""


class BlobLost(Unavailable):
    """The bytes are gone: asking again does not help."""


class BlobWriter(Protocol):
    """One blob being written. Bytes are bounded in memory and visible to nobody before `commit`."""

    async def write(self, data: bytes) -> None:
        """Append. Raises Unavailable when the disk or the store is full."""
        ...

    async def commit(self) -> Blob:
        """Make it durable; once. Until the writer's context is left the blob is not removed, used or not.

        Raises Unavailable.
        """
        ...


class Blobs(Protocol):
    """Write once, read often, remove when nobody uses it."""

    def writer(self) -> AbstractAsyncContextManager[BlobWriter]:
        """A new blob; leaving the context without `commit` leaves nothing behind. Insert the file's row inside it."""
        ...

    def read(self, key: str) -> AsyncGenerator[bytes]:
        """The bytes, in pieces of at most 1 MiB. Raises BlobLost, Unavailable when they cannot be read now."""
        ...

    async def remove(self, key: str, in_use: InUse) -> None:
        """Remove the blob unless `in_use` says a file still has it, or it was written again meanwhile.

        A store that does not answer is left to the sweep.
        """
        ...

    async def sweep(self, in_use: InUse) -> int:
        """Remove every blob no file has and what interrupted uploads left, as far as no server can be writing it; how many."""
        ...
