"""One SQLite file: its lock, its connections, its writer thread with group commit. Knows SQL, knows no objects.

Every write that waits when the writer comes round shares one transaction, each in its own savepoint, so that the cost
of a durable commit is divided by their number and one lost race hurts nobody else.

A file that somebody else locks, or that cannot grow, is waited for: each write for as long as a request may, then it is
told. Meanwhile the writer thread tries by itself, so that the trouble ends without anybody's help.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from threadmill.domain.error import DatabaseUnavailable, Unavailable, VersionConflict
from threadmill.engine.ports.troubles import Troubles

T = TypeVar("T")

READERS = 2
GROUP_COMMIT_SIZE = 256
"""Writes that share one commit at most."""

PATIENCE = 3.0
"""Seconds a write waits for somebody else's lock, if nothing else is set."""

BUSY_MS = 5_000
"""How long the start waits for somebody else's lock."""

BUSY_STEP_MS = 100
"""How long the writer waits at once; then it looks who has waited long enough."""

PROBE_SECONDS = 1.0
"""Between two attempts of the writer's own while writing fails and nobody writes."""

ROOM_BYTES = 1024 * 1024
"""Bytes a disk that was full must have before it is believed: what was freed inside the file lets small writes through."""

WRITING = "writing to the database"

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""What is about the machine, and may pass."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DatabaseInUse(Unavailable):
    """Another server holds the data directory."""


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[sqlite3.Cursor], T]
    future: "asyncio.Future[T]"
    deadline: float
    result: T | None = None
    error: Exception | None = None


class Database:
    """Opened with `open`. All methods but the constructor belong to the event loop's thread.

    `patience`: seconds a write or a read waits for somebody else's lock.
    """

    def __init__(self, path: Path, lock: int, writer: sqlite3.Connection, troubles: Troubles, patience: float) -> None:
        self._path: Path = path
        self._lock: int = lock
        self._writer: sqlite3.Connection = writer
        self._writer.execute(f"PRAGMA busy_timeout = {BUSY_STEP_MS}")
        self._troubles: Troubles = troubles
        self._patience: float = patience
        self._is_failing: bool = False
        self._is_full: bool = False
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        # Opened now, with all their files: when strangers have taken every descriptor it would be too late.
        self._connections: list[sqlite3.Connection] = [
            _connect_reader(path, int(patience * 1000)) for _ in range(READERS)
        ]
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in self._connections:
            self._idle.put(connection)
        self._readers: ThreadPoolExecutor = ThreadPoolExecutor(READERS, "threadmill-reader")
        self._thread: threading.Thread = threading.Thread(target=self._write_forever, name="threadmill-writer")
        self._thread.start()

    async def write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run `work` inside the next durable commit. Its VersionConflict undoes its own writes only.

        Raises what `work` raises, and Unavailable when the file cannot be written for as long as patience lasts.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future, time.monotonic() + self._patience))
        return await future

    async def read(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run `work` on a reader; it sees every acknowledged write."""
        return await self._loop.run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        connection = self._idle.get()  # there are as many as threads
        try:
            return work(connection.cursor())
        except sqlite3.Error as error:
            raise _failure(error) from error
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
        while (first := self._next_job()) is not None:
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

    def _next_job(self) -> _Job[Any] | None:
        """Waits for one; while writing fails, it is tried now and then without one."""
        while self._is_failing:
            try:
                return self._jobs.get(timeout=PROBE_SECONDS)
            except queue.Empty:
                self._probe()
        return self._jobs.get()

    def _commit(self, group: list[_Job[Any]]) -> None:
        """One transaction for the group, or an error for each; whoever waited too long for it has left the group."""
        cursor = self._writer.cursor()
        try:
            self._begin(cursor, group)
            for job in group:
                _apply(cursor, job, ungrouped=len(group) == 1)
            if self._writer.in_transaction:
                cursor.execute("COMMIT")
                self._note_success()
        except Exception as error:  # noqa: BLE001 - this thread ends with the server and not before
            self._note_failure(error)
            for job in group:
                job.error = job.error or _failure(error)
            self._roll_back()

    def _begin(self, cursor: sqlite3.Cursor, group: list[_Job[Any]]) -> None:
        """Take the file's lock for as long as anybody of the group waits for it. Raises sqlite3.Error."""
        self._roll_back()
        while group:
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY:
                    raise
                self._dismiss(group, error)
            else:
                return

    def _dismiss(self, group: list[_Job[Any]], error: sqlite3.Error) -> None:
        """Tell those who have waited long enough."""
        now = time.monotonic()
        dismissed = [job for job in group if job.deadline <= now]
        if not dismissed:
            return
        group[:] = [job for job in group if job.deadline > now]
        self._note_failure(error)
        for job in dismissed:
            job.error = _failure(error)
        self._loop.call_soon_threadsafe(_resolve, dismissed)

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            with suppress(sqlite3.Error):  # it is tried again before the next transaction
                self._writer.rollback()

    def _probe(self) -> None:
        """Write a page as it is."""
        cursor = self._writer.cursor()
        try:
            self._roll_back()
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("PRAGMA user_version = 0")
            cursor.execute("COMMIT")
            self._note_success()
        except sqlite3.Error:
            self._roll_back()

    def _note_failure(self, error: Exception) -> None:
        self._is_failing = True
        self._is_full = self._is_full or _code(error) == sqlite3.SQLITE_FULL
        # SQLite's own words name no row; what else went wrong is known by its kind alone.
        self._troubles.begin(WRITING, f"{error if isinstance(error, sqlite3.Error) else type(error).__name__}.")

    def _note_success(self) -> None:
        if self._is_failing and not (self._is_full and _free_bytes(self._path) < ROOM_BYTES):
            self._is_failing = self._is_full = False
            self._troubles.end(WRITING)


def _apply(cursor: sqlite3.Cursor, job: _Job[Any], *, ungrouped: bool) -> None:
    if not ungrouped:
        cursor.execute("SAVEPOINT job")
    try:
        job.result = job.work(cursor)
    except sqlite3.IntegrityError as error:
        job.error = VersionConflict(f"a constraint was broken: {error}")
    except sqlite3.Error as error:
        if _code(error) in _PASSING | _DAMAGED:
            raise
        job.error = error  # a statement or a value of its own is wrong
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


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for what is none of its errors."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _failure(error: Exception) -> Exception:
    """What a caller is told."""
    code = _code(error)
    if code in _PASSING:
        return DatabaseUnavailable(f"The database cannot be used right now: {error}.")
    is_damaged = code in _DAMAGED or isinstance(error, sqlite3.OperationalError)  # a table is gone, say
    return Unavailable(f"The database cannot be used: {error}.") if is_damaged else error


def _free_bytes(path: Path) -> int:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


def connect(path: Path, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """A connection with the settings every one of ours has (design 3.3)."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in (f"busy_timeout = {busy_ms}", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _connect_reader(path: Path, busy_ms: int) -> sqlite3.Connection:
    """A connection that only reads, with its files open."""
    connection = connect(path, busy_ms)
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
