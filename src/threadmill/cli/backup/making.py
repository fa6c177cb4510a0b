"""`threadmill backup FILE`: a data directory as one file, while its server serves or not."""

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import click

from threadmill.adapters.sqlite.snapshot import copied_snapshot, live_snapshot
from threadmill.adapters.system.clock import SystemClock
from threadmill.bootstrap import database_path
from threadmill.cli.backup.archive import (
    BLOBS,
    CONFIGURATION,
    DATABASE,
    MANIFEST,
    PIECE,
    ArchiveError,
    write_end,
    write_entry,
)
from threadmill.cli.backup.configuration import without_secrets
from threadmill.cli.backup.holding import Held, held_directory, hold
from threadmill.cli.backup.manifest import Manifest, dump, told
from threadmill.cli.resources.error import CliError, ExitCode
from threadmill.cli.serve import settings_for
from threadmill.settings import Settings

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Work:
    """What is put into an archive, and who is told how far it is."""

    settings: Settings
    target: BinaryIO
    advance: Advance


def run_backup(file: Path, data_dir: Path | None, *, overwrite: bool) -> int:
    """Write the archive, and say what is in it. Raises CliError, SettingsError, Unavailable."""
    settings = settings_for(data_dir=data_dir)
    database = database_path(settings)
    if not database.is_file():
        raise _failed(f"There is no database at {database}.", "Name the server's data directory with --data-dir.")
    if not overwrite and os.path.lexists(file):
        raise _failed(f"{file} is there already.", "Choose another name, or write over it with --overwrite.")
    try:
        manifest = _write(settings, file, overwrite=overwrite)
    except FileExistsError:
        raise _failed(f"{file} was made by somebody else meanwhile.", "Choose another name.") from None
    except (OSError, sqlite3.Error, ArchiveError) as error:
        raise _failed(f"The backup failed: {error}", f"{file} is as it was before.") from error
    click.echo(f"backup: {file} holds {told(manifest)}")
    return _tell_what_is_not_there(manifest)


def _failed(text: str, advice: str) -> CliError:
    return CliError(text, ExitCode.REFUSED, advice)


def _tell_what_is_not_there(manifest: Manifest) -> int:
    if manifest.store != "disk":
        click.echo(f"backup: the files' contents are in {manifest.store} and not in this archive; keep them too")
    if manifest.lost:
        click.echo(f"backup: {len(manifest.lost)} files have no contents in the data directory any more", err=True)
        return ExitCode.REFUSED
    return ExitCode.OK


def _write(settings: Settings, file: Path, *, overwrite: bool) -> Manifest:
    """The archive under a name of its own first; it has its real name when it is whole and on the disk."""
    aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}.partial")
    copy = aside.with_suffix(".db")
    try:
        with _created(aside) as target, click.progressbar(length=_estimate(settings), label="backup") as bar:
            manifest = _fill(_Work(settings, target, bar.update), copy)
            target.flush()
            os.fsync(target.fileno())
        _publish(aside, file, overwrite=overwrite)
        return manifest
    finally:
        for left in (aside, copy):
            with suppress(OSError):
                left.unlink()


@contextmanager
def _created(path: Path) -> Generator[BinaryIO]:
    """A new file for this user only: everybody's conversations are in it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as target:
        yield target


def _publish(aside: Path, file: Path, *, overwrite: bool) -> None:
    if overwrite:
        aside.replace(file)
    else:
        os.link(aside, file)  # which, unlike a rename, fails where there is a file
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _estimate(settings: Settings) -> int:
    """Bytes to be read and written, about: the database twice, and what its files say they have."""
    path, root = database_path(settings), settings.server.data_dir / "blobs"
    with live_snapshot(path) as database:
        blobs = database.blob_keys()
    return 2 * path.stat().st_size + sum(map(_size, (root / key[:2] / key for key in blobs)))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _fill(work: _Work, copy: Path) -> Manifest:
    """A moment of the database, the blobs it names in that moment, and then both at leisure."""
    data_dir, done = work.settings.server.data_dir, 0
    path = database_path(work.settings)

    def copied(pages: int, all_pages: int) -> None:
        nonlocal done
        size = path.stat().st_size * pages // max(all_pages, 1)
        work.advance(size - done)
        done = size

    with held_directory(data_dir) as directory:
        with live_snapshot(path) as database:
            is_here = work.settings.config.blobs.store == "disk"
            held = hold(database.blob_keys() if is_here else [], data_dir / "blobs", directory)
            database.copy_to(copy, copied)
        return _fill_from(work, copy, held)


def _fill_from(work: _Work, copy: Path, held: Held) -> Manifest:
    shown = json.dumps(without_secrets(work.settings), indent=2).encode()
    configuration = _put(work, CONFIGURATION, len(shown), iter([shown]))
    database = _put(work, DATABASE, copy.stat().st_size, _pieces(copy))
    sizes = {key: path.stat().st_size for key, path in held.blobs.items()}
    for key, path in held.blobs.items():
        if _put(work, BLOBS + key, sizes[key], _pieces(path)) != key:
            raise ArchiveError(f"The contents of blob {key} are damaged in the data directory.")
    with copied_snapshot(copy) as database_copy:
        rows = database_copy.count_rows()
    manifest = Manifest(
        version("threadmill"),
        SystemClock().now(),
        database,
        configuration,
        work.settings.config.blobs.store,
        rows,
        len(held.blobs),
        sum(sizes.values()),
        held.lost,
    )
    data = dump(manifest)
    _put(work, MANIFEST, len(data), iter([data]))
    write_end(work.target)
    return manifest


def _put(work: _Work, name: str, size: int, pieces: Iterator[bytes]) -> str:
    """Append an entry; its digest."""
    writing = write_entry(work.target, name, size, pieces)
    while True:
        try:
            work.advance(next(writing))
        except StopIteration as end:
            return str(end.value)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece
