"""`threadmill restore FILE`: a data directory of an archive, all of it or nothing.

The archive is unpacked beside where it will lie, compared with its manifest and with its own database, brought to this
version's schema, and only then put into place; the database last.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click

from threadmill.adapters.sql.migrate import migrate
from threadmill.adapters.sqlite.snapshot import copied_snapshot
from threadmill.bootstrap import database_path
from threadmill.cli.backup.archive import BLOBS, CONFIGURATION, DATABASE, MANIFEST, ArchiveError, Entry, entries
from threadmill.cli.backup.manifest import MAX_BYTES, Manifest, parse, told
from threadmill.cli.resources.error import CliError, ExitCode
from threadmill.cli.serve import settings_for
from threadmill.settings import Settings

ASIDE = ".restoring"
KEPT_CONFIGURATION = "configuration-of-backup.json"


@dataclass(slots=True)
class _Unpacked:
    """What was found so far: digests by name, and the manifest's bytes."""

    place: Path
    digests: dict[str, str] = field(default_factory=dict[str, str])
    manifest: bytes | None = None

    def blobs(self) -> set[str]:
        return {name.removeprefix(BLOBS) for name in self.digests if name.startswith(BLOBS)}


def run_restore(file: Path, data_dir: Path | None) -> int:
    """Unpack the archive into an empty data directory, and say what was in it. Raises CliError, SettingsError, Unavailable."""
    settings = settings_for(data_dir=data_dir)
    try:
        with file.open("rb") as source, _aside(settings) as place:
            manifest = _restore(source, place, settings)
    except ArchiveError as error:
        raise CliError(f"{file} was not restored. {error}", ExitCode.REFUSED, "Nothing was changed.") from error
    except (OSError, sqlite3.Error) as error:
        raise CliError(f"{file} was not restored: {error}", ExitCode.REFUSED, "Nothing was changed.") from error
    click.echo(f"restore: {settings.server.data_dir} holds {told(manifest)}")
    if manifest.store != "disk":
        click.echo(f"restore: the files' contents are in {manifest.store}; set THREADMILL_BLOBS to it")
    click.echo(f"restore: keys and other secrets are not in a backup; {KEPT_CONFIGURATION} shows what else was set")
    return ExitCode.OK


@contextmanager
def _aside(settings: Settings) -> Generator[Path]:
    """Where to unpack, on the same disk. Raises CliError when the data directory is in use."""
    data_dir, database = settings.server.data_dir, database_path(settings)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = sorted(one.name for one in data_dir.iterdir() if one.name != ASIDE)
    if held or os.path.lexists(database):
        what = (
            f"It holds {', '.join(held[:3])}{' and more' if len(held) > 3 else ''}" if held else f"{database} is there"
        )
        text = f"{data_dir} is not empty, and a restore never writes over data. {what}."
        raise CliError(text, ExitCode.REFUSED, "Choose another --data-dir, or move what is there away.")
    place = data_dir / ASIDE
    shutil.rmtree(place, ignore_errors=True)  # of a restore that was killed
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _restore(source: BinaryIO, place: Path, settings: Settings) -> Manifest:
    size = os.fstat(source.fileno()).st_size
    free = shutil.disk_usage(place).free
    if size > free:
        raise ArchiveError(f"It has {size:,} bytes, and the disk of {place.parent} has {free:,} left.")
    unpacked = _unpack(source, place, size)
    manifest = _verify(unpacked)
    migrate(f"sqlite:///{place / DATABASE}")
    os.sync()
    _put_into_place(place, settings)
    return manifest


def _unpack(source: BinaryIO, place: Path, size: int) -> _Unpacked:
    unpacked = _Unpacked(place)
    with click.progressbar(length=size, label="restore") as bar:
        for entry in entries(source):
            if unpacked.manifest is not None:
                raise ArchiveError("It goes on behind its manifest.")
            if entry.name == MANIFEST:
                unpacked.manifest = _manifest(entry)
            else:
                _write(unpacked, entry)
            bar.update(entry.size)
    return unpacked


def _manifest(entry: Entry) -> bytes:
    if entry.size > MAX_BYTES:
        raise ArchiveError("Its manifest is too large.")
    return b"".join(entry.pieces)


def _write(unpacked: _Unpacked, entry: Entry) -> None:
    key = entry.name.removeprefix(BLOBS)
    place = unpacked.place / (f"{BLOBS}{key[:2]}/{key}" if key != entry.name else entry.name)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as target:
        for piece in entry.pieces:
            digest.update(piece)
            target.write(piece)
    unpacked.digests[entry.name] = digest.hexdigest()


def _verify(unpacked: _Unpacked) -> Manifest:
    """The manifest, when all of it is true. Raises ArchiveError."""
    if unpacked.manifest is None:
        raise ArchiveError("It has no manifest: it was cut off, or is no backup of threadmill.")
    manifest, digests = parse(unpacked.manifest), unpacked.digests
    if digests.get(DATABASE) != manifest.database or digests.get(CONFIGURATION) != manifest.configuration:
        raise ArchiveError("Its database or its configuration is damaged: the digest is another than its manifest's.")
    damaged = [key for key in unpacked.blobs() if digests[BLOBS + key] != key]
    if damaged:
        raise ArchiveError(f"The contents of {len(damaged)} files are damaged: their digests are not their names.")
    _verify_database(unpacked, manifest)
    return manifest


def _verify_database(unpacked: _Unpacked, manifest: Manifest) -> None:
    with copied_snapshot(unpacked.place / DATABASE) as database:
        if problem := database.problem():
            raise ArchiveError(f"Its database is damaged: {problem}.")
        if database.count_rows() != manifest.rows:
            raise ArchiveError("Its database has other numbers of rows than its manifest says.")
        named = set(database.blob_keys()) - set(manifest.lost) if manifest.store == "disk" else set[str]()
    if named != unpacked.blobs() or len(named) != manifest.blobs:
        raise ArchiveError("It holds other files' contents than its database names.")


def _put_into_place(place: Path, settings: Settings) -> None:
    """The database last, and never over another: whoever finds it finds all the rest."""
    data_dir, database = settings.server.data_dir, database_path(settings)
    ready = _beside(place / DATABASE, database)
    has_blobs = (place / BLOBS).is_dir()
    (place / CONFIGURATION).replace(data_dir / KEPT_CONFIGURATION)
    if has_blobs:
        (place / BLOBS).rename(data_dir / "blobs")
    try:
        os.link(ready, database)  # which, unlike a rename, fails where a server made one meanwhile
    except OSError:
        (data_dir / KEPT_CONFIGURATION).unlink()
        if has_blobs:
            (data_dir / "blobs").rename(place / BLOBS)
        raise
    finally:
        ready.unlink()
    os.sync()


def _beside(unpacked: Path, database: Path) -> Path:
    """The unpacked database on the disk where it shall lie."""
    if database.parent == unpacked.parent.parent:
        return unpacked
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    ready = database.with_name(f".{database.name}.restoring")
    shutil.copyfile(unpacked, ready)
    ready.chmod(0o600)
    return ready
