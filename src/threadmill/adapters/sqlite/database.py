"""One SQLite file: its lock, its connections, its writer thread with group commit. Knows SQL, knows no objects.

Every write that waits when the writer comes round shares one transaction, each in its own savepoint, so that the cost
of a durable commit is divided by their number and one lost race hurts nobody else.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from threadmill.domain.error import Unavailable, VersionConflict

T = TypeVar("T")

READERS = 2
GROUP_COMMIT_SIZE = 256
"""Writes that share one commit at most."""

BUSY_MS = 5_000


class DatabaseInUse(Unavailable):
    """Another server holds the data directory."""


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[sqlite3.Cursor], T]
    future: "asyncio.Future[T]"
    result: T | None = None
    error: Exception | None = None


class Database:
    """Opened with `open`. All methods but the constructor belong to the event loop's thread."""

    def __init__(self, path: Path, lock: int, writer: sqlite3.Connection) -> None:
        self._path: Path = path
        self._lock: int = lock
        self._writer: sqlite3.Connection = writer
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        # Opened now, with all their files: when strangers have taken every descriptor it would be too late.
        self._connections: list[sqlite3.Connection] = [_connect_reader(path) for _ in range(READERS)]
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in self._connections:
            self._idle.put(connection)
        self._readers: ThreadPoolExecutor = ThreadPoolExecutor(READERS, "threadmill-reader")
        self._thread: threading.Thread = threading.Thread(target=self._write_forever, name="threadmill-writer")
        self._thread.start()

    async def write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run `work` inside the next durable commit. Its VersionConflict undoes its own writes only.

        Raises what `work` raises, and Unavailable when the file cannot be written.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return await future

    async def read(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run `work` on a reader; it sees every acknowledged write."""
        return await self._loop.run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        connection = self._idle.get()  # there are as many as threads
        try:
            return work(connection.cursor())
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        finally:
            self._idle.put(connection)

    async def set_max_pages(self, pages: int) -> None:
        """Refuse to grow the file beyond `pages` of SQLite's pages."""
        await self.write(lambda cursor: cursor.execute(f"PRAGMA max_page_count = {pages}").fetchone())

    async def close(self) -> None:
        """Finish what is queued, then let go of the file."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self._writer.close()
        os.close(self._lock)

    def _write_forever(self) -> None:
        while (first := self._jobs.get()) is not None:
            group, more = [first], True
            while len(group) < GROUP_COMMIT_SIZE:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    more = False
                    break
                group.append(job)
            self._commit(group)
            self._loop.call_soon_threadsafe(_resolve, group)
            if not more:
                return

    def _commit(self, group: list[_Job[Any]]) -> None:
        cursor = self._writer.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for job in group:
                _apply(cursor, job, ungrouped=len(group) == 1)
            if self._writer.in_transaction:
                cursor.execute("COMMIT")
        except sqlite3.Error as error:
            for job in group:
                job.error = job.error or _unavailable(error)
            if self._writer.in_transaction:
                self._writer.rollback()


def _apply(cursor: sqlite3.Cursor, job: _Job[Any], *, ungrouped: bool) -> None:
    if not ungrouped:
        cursor.execute("SAVEPOINT job")
    try:
        job.result = job.work(cursor)
    except sqlite3.IntegrityError as error:
        job.error = VersionConflict(f"a constraint was broken: {error}")
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - a job's own error is its caller's to see, not the group's
        job.error = error
    if ungrouped:
        if job.error is not None:
            cursor.execute("ROLLBACK")
        return
    if job.error is not None:
        cursor.execute("ROLLBACK TO job")
    cursor.execute("RELEASE job")


def _resolve(group: list[_Job[Any]]) -> None:
    for job in group:
        if job.future.done():  # its caller was cancelled; the write stands
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _unavailable(error: sqlite3.Error) -> Unavailable:
    return Unavailable(f"The database cannot be used right now: {error}.")


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings every one of ours has (design 3.3)."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, with its files open."""
    connection = connect(path)
    connection.execute("PRAGMA query_only = 1")
    connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    return connection


def acquire_lock(path: Path) -> int:
    """Take the file's lock for this process; the descriptor holds it. Raises DatabaseInUse, Unavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Made with owner-only rights before SQLite would make it with the umask's.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Unavailable(
            f"The data directory {path.parent} cannot be used: {error.strerror}. Choose another with --data-dir."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DatabaseInUse(
            f"Another threadmill server uses {path}. Stop it, or start this one with another --data-dir."
        ) from error
    return descriptor
