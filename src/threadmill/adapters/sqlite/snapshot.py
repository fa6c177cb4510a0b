"""The database as it is in one moment, for copies while a server uses it, and what a copy holds.

A read transaction is open all the while: in WAL mode it blocks no writer, and what is written meanwhile is not in it.
"""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

from threadmill.adapters.sqlite.database import BUSY_MS

STEP_PAGES = 1_000
"""Copied between two words about how far it is."""


class Snapshot:
    """One moment of a database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection = connection

    def blob_keys(self) -> list[str]:
        """Every blob the database names, once, in order."""
        keys: set[str] = set()
        for table in {"files", "upload_parts"} & set(self._tables()):  # an older version has only one of them, or none
            keys.update(key for (key,) in self._connection.execute(f"SELECT blob FROM {table}").fetchall())  # noqa: S608 - ours
        return sorted(keys)

    def count_rows(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: self._count(name) for name in self._tables()}

    def revision(self) -> str | None:
        """The schema's; None where there is none."""
        if "alembic_version" not in self._tables():
            return None
        found = self._connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if found is None else str(found[0])

    def newest_at(self) -> int | None:
        """When the thread or run that was stored last says it was made."""
        newest = "SELECT created_at FROM {} ORDER BY ord DESC LIMIT 1"
        tables = {"runs", "threads"} & set(self._tables())
        rows = [self._connection.execute(newest.format(table)).fetchone() for table in tables]
        return max((row[0] for row in rows if row is not None), default=None)

    def problem(self) -> str | None:
        """What SQLite finds wrong with the file, if anything."""
        state = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if state == "ok" else str(state)

    def copy_to(self, path: Path, progress: Callable[[int, int], None], pages: int = STEP_PAGES) -> None:
        """Make a file of it, for its owner only; `progress` gets the pages done and all pages."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(path)) as target:

            def step(_: int, remaining: int, total: int) -> None:
                progress(total - remaining, total)

            self._connection.backup(target, pages=pages, progress=step, sleep=0)
            # One file, that needs no log beside it to be read.
            target.execute("PRAGMA journal_mode = DELETE")

    def _tables(self) -> list[str]:
        found = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return [name for (name,) in found.fetchall()]

    def _count(self, table: str) -> int:
        quoted = table.replace('"', '""')
        return self._connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608 - quoted


@contextmanager
def live_snapshot(path: Path) -> Generator[Snapshot]:
    """Of a database that may be in use. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA query_only = 1")
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # the moment is that of the first read
        yield Snapshot(connection)


@contextmanager
def copied_snapshot(path: Path) -> Generator[Snapshot]:
    """Of a copy a stranger may have made. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        yield Snapshot(connection)
