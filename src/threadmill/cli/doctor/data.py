"""The database, its schema, its disk and its files, and the clock they are written by. Reads only."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from threadmill.adapters.sql.migrate import known_revisions
from threadmill.adapters.sqlite.snapshot import Snapshot, live_snapshot
from threadmill.adapters.system.clock import SystemClock
from threadmill.bootstrap import database_path
from threadmill.cli.doctor.finding import Finding, megabytes
from threadmill.settings import Settings

LEAST_FREE = 1_000_000_000
OTHERS = 0o077


def check_data(settings: Settings, *, deep: bool) -> Iterator[Finding]:
    """Lines about the data directory. `deep`: SQLite reads every page."""
    path, data_dir = database_path(settings), settings.server.data_dir
    if not path.is_file():
        yield Finding("database", f"there is none at {path} yet; the first start makes it")
        yield from _check_disk(_existing(data_dir), 0)
        return
    try:
        with live_snapshot(path) as database:
            yield _check_database(path, database, deep=deep)
            yield _check_schema(database)
            yield _check_clock(database)
            keys = database.blob_keys() if settings.config.blobs.store == "disk" else []
    except sqlite3.Error as error:
        advice = f"look at the disk, and restore {path} from a backup if it is damaged"
        yield Finding("database", f"{path} cannot be read: {error}", advice)
    else:
        yield _check_rights(path, data_dir)
        yield _check_files(keys, data_dir / "blobs")
    yield from _check_disk(data_dir, path.stat().st_size)


def _existing(directory: Path) -> Path:
    return next(one for one in (directory.absolute(), *directory.absolute().parents) if one.is_dir())


def _check_database(path: Path, database: Snapshot, *, deep: bool) -> Finding:
    if deep and (problem := database.problem()):
        return Finding("database", f"{path} is damaged: {problem}", "stop the server and restore a backup")
    said = f"{path}, {megabytes(path.stat().st_size)}"
    user = _user(path)
    return Finding("database", f"{said}, {f'in use by process {user}' if user else 'in use by no server'}")


def _user(path: Path) -> str | None:
    """The process that holds the database's lock, without touching it: a server may be starting."""
    try:
        inode = Path(f"{path}.lock").stat().st_ino
        locks = Path("/proc/locks").read_text()
    except OSError:
        return None
    held = (line.split() for line in locks.splitlines() if "FLOCK" in line)
    return next((parts[4] for parts in held if parts[5].rpartition(":")[2] == str(inode)), None)


def _check_schema(database: Snapshot) -> Finding:
    found, known = database.revision(), known_revisions()
    if found == known[-1]:
        return Finding("schema", f"{found}, the newest")
    if found in known:
        text = f"{found}; this version's is {known[-1]}"
        return Finding("schema", text, "threadmill migrate, or a restart of the server, brings it up to date")
    if found is None:
        return Finding("schema", "the database is empty or another program's", "choose another --data-dir")
    return Finding("schema", f"{found}, which this version does not know", "upgrade threadmill")


def _check_clock(database: Snapshot) -> Finding:
    now, newest = SystemClock().now(), database.newest_at()
    if newest is not None and newest > now + 60:
        text = f"the newest thread or run is {newest - now:,} seconds in the future"
        return Finding("clock", text, "set this machine's clock; a time service such as chrony keeps it right")
    return Finding("clock", "not behind what was written last")


def _check_rights(path: Path, data_dir: Path) -> Finding:
    # A directory that is closed closes what lies in it.
    if path.stat().st_mode & OTHERS and (path.parent != data_dir or data_dir.stat().st_mode & OTHERS):
        return Finding("rights", f"others may read {path}", f"chmod -R go= {data_dir} {path}")
    return Finding("rights", "the data is its owner's only")


def _check_files(keys: list[str], blobs: Path) -> Finding:
    size, lost = 0, 0
    for key in keys:
        try:
            size += (blobs / key[:2] / key).lstat().st_size
        except OSError:
            lost += 1
    if lost:
        return Finding("files", f"{lost:,} of {len(keys):,} have lost their contents", "restore them from a backup")
    return Finding("files", f"{len(keys):,} contents, {megabytes(size)}")


def _check_disk(directory: Path, needed: int) -> Iterator[Finding]:
    if not os.access(directory, os.W_OK | os.X_OK):
        yield Finding("disk", f"{directory} cannot be written by this user", "run the server as its owner")
    disk = shutil.disk_usage(directory)
    text = f"{megabytes(disk.free)} of {megabytes(disk.total)} free"
    if disk.free < max(LEAST_FREE, needed // 10):
        yield Finding("disk", text, f"make room on the disk of {directory}: with none left nothing is stored")
    else:
        yield Finding("disk", text)
