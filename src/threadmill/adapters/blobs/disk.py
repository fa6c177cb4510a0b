"""The Blobs port on a directory: content-addressed, written aside and renamed, never through a symbolic link.

`<root>/ab/<sha256>` holds the bytes; `<root>/incoming/` holds what is being written. Equal contents share one blob, so
removing asks first, and one that is written again while it is being removed stays.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from threadmill.domain.error import Unavailable
from threadmill.domain.file import Blob
from threadmill.engine.ports.blobs import BlobLost, InUse
from threadmill.engine.ports.troubles import Troubles

P = ParamSpec("P")
T = TypeVar("T")

READ_SIZE = 1024 * 1024
"""Bytes held in memory of a blob being written or read."""

STORING = "storing files"
PAGE, ROOM_BYTES = 4096, 1024 * 1024
"""What is written to see whether a disk can be written again, and what must be free on it."""

SWEEP_BATCH = 500
"""Keys asked about at once."""


class DiskBlobs:
    """See the port. One process owns the directory."""

    def __init__(self, root: Path, troubles: Troubles) -> None:
        self._root: Path = root
        self._troubles: Troubles = troubles
        self._incoming: Path = root / "incoming"
        self._lock: threading.Lock = threading.Lock()
        self._pinned: Counter[str] = Counter()
        self._deleting: set[str] = set()

    @asynccontextmanager
    async def writer(self) -> AsyncGenerator["DiskWriter"]:
        """See the port."""
        writer = await asyncio.to_thread(DiskWriter, self)
        try:
            yield writer
        finally:
            await asyncio.to_thread(writer.close)

    def open_incoming(self) -> tuple[int, Path]:
        """A new file to write to, for this process's user only. Raises Unavailable."""
        path = self._incoming / secrets.token_hex(16)
        try:
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(path, flags, 0o600), path
        except OSError as error:
            raise self.refusal(error) from error

    def publish(self, path: Path, key: str) -> None:
        """A finished file becomes the blob `key`, pinned until `unpin`."""
        place = self._path(key)
        with self._lock:
            self._deleting.discard(key)
            self._pinned[key] += 1
        try:
            place.parent.mkdir(exist_ok=True, mode=0o700)
            path.replace(place)
            _sync_directory(place.parent)
            self._troubles.end(STORING)
        except OSError as error:
            self.unpin(key)
            raise self.refusal(error) from error

    def refusal(self, error: OSError) -> Unavailable:
        """What a writer is told that met this; the operator is told once while it lasts."""
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        why = "the disk is full" if is_full else f"{error.strerror}"
        self._troubles.begin(STORING, f"{why}.", is_over=self._is_writable)
        if is_full:
            return Unavailable("The server's disk is full; the file was not stored.")
        return Unavailable(f"The server cannot store files right now: {error.strerror}.")

    def _is_writable(self) -> bool:
        """Whether a small file can be written now, and leaves room."""
        path = self._incoming / secrets.token_hex(16)
        try:
            path.write_bytes(bytes(PAGE))
            path.unlink()
            disk = os.statvfs(self._root)
        except OSError:
            with suppress(OSError):
                path.unlink()
            return False
        return disk.f_bavail * disk.f_frsize >= ROOM_BYTES

    def unpin(self, key: str) -> None:
        """Its file's row stands, or never will."""
        with self._lock:
            self._pinned[key] -= 1
            if not self._pinned[key]:
                del self._pinned[key]

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / key

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """See the port."""
        descriptor, data = await _attempt_read(_open_and_read, self._path(key))
        try:
            while data:
                yield data
                if len(data) < READ_SIZE:
                    return  # the end of a file; a small one's way through threads takes longer than its reading
                data = await _attempt_read(os.read, descriptor, READ_SIZE)
        finally:
            os.close(descriptor)

    async def remove(self, key: str, in_use: InUse) -> None:
        """See the port."""
        await self._remove((key,), in_use)

    async def _remove(self, keys: tuple[str, ...], in_use: InUse) -> int:
        with self._lock:
            self._deleting.update(keys)
        unused = set(keys) - await in_use(keys)
        return await asyncio.to_thread(self._unlink, keys, unused)

    def _unlink(self, keys: tuple[str, ...], unused: set[str]) -> int:
        removed = 0
        with self._lock:
            for key in keys:
                # Not being deleted any more: the same bytes were written again after `in_use` was asked.
                if key in unused and key in self._deleting and key not in self._pinned:
                    with suppress(FileNotFoundError):
                        self._path(key).unlink()
                        removed += 1
                self._deleting.discard(key)
        return removed

    async def sweep(self, in_use: InUse) -> int:
        """See the port."""
        removed = await asyncio.to_thread(self._sweep_incoming)
        keys = await asyncio.to_thread(lambda: list(self._keys()))
        for at in range(0, len(keys), SWEEP_BATCH):
            removed += await self._remove(tuple(keys[at : at + SWEEP_BATCH]), in_use)
        return removed

    def _sweep_incoming(self) -> int:
        left = list(self._incoming.iterdir()) if self._incoming.is_dir() else []
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _keys(self) -> Iterator[str]:
        if self._root.is_dir():
            for folder in self._root.iterdir():
                if len(folder.name) == 2 and folder.is_dir():
                    yield from (path.name for path in folder.iterdir())


class DiskWriter:
    """See the port `BlobWriter`. Bytes gather to PIECE before a thread hashes and writes them."""

    def __init__(self, blobs: DiskBlobs) -> None:
        self._blobs: DiskBlobs = blobs
        self._descriptor, self._path = blobs.open_incoming()
        self._hash = hashlib.sha256()
        self._size: int = 0
        self._buffer: bytearray = bytearray()
        self._key: str | None = None

    async def write(self, data: bytes) -> None:
        """See the port."""
        self._buffer += data
        if len(self._buffer) >= READ_SIZE:
            await asyncio.to_thread(self._flush)

    def _flush(self) -> None:
        view = memoryview(bytes(self._buffer))
        self._buffer.clear()
        self._hash.update(view)
        self._size += len(view)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._blobs.refusal(error) from error

    async def commit(self) -> Blob:
        """See the port."""
        return await asyncio.to_thread(self._commit)

    def _commit(self) -> Blob:
        self._flush()
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._blobs.refusal(error) from error
        key = self._hash.hexdigest()
        self._blobs.publish(self._path, key)
        self._key = key
        return Blob(key, self._size)

    def close(self) -> None:
        """Leave nothing behind that was not committed."""
        os.close(self._descriptor)
        if self._key is None:
            self._path.unlink(missing_ok=True)
        else:
            self._blobs.unpin(self._key)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_and_read(path: Path) -> tuple[int, bytes]:
    """A descriptor, and the first of what it reads."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return descriptor, os.read(descriptor, READ_SIZE)
    except BaseException:
        os.close(descriptor)
        raise


async def _attempt_read(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`call` in a thread. Raises BlobLost, Unavailable."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except FileNotFoundError as error:
        raise BlobLost(f"The content of this file is lost: {error.strerror}.") from error
    except OSError as error:
        raise Unavailable(f"The content of this file cannot be read: {error.strerror}.") from error
