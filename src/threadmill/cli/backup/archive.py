"""The archive: a plain tar of regular files with names from a short list, read as if a stranger had written it.

Nothing is compressed, so what an archive unpacks to is never more than itself. No header has another one before it:
neither links nor long names nor sparse files are known here. The manifest comes last: an archive that lacks its end
lacks the manifest.
"""

import hashlib
import re
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK, PIECE = 512, 1024 * 1024
CONFIGURATION, DATABASE, MANIFEST, BLOBS = "configuration.json", "threadmill.db", "manifest.json", "blobs/"

_NAME = re.compile(r"configuration\.json|threadmill\.db|manifest\.json|blobs/[0-9a-f]{64}")


class ArchiveError(Exception):
    """The file is no archive of ours, or is damaged; the message says how."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive; `pieces` must be read before the next one is asked for."""

    name: str
    size: int
    pieces: Iterator[bytes]


def write_entry(target: BinaryIO, name: str, size: int, pieces: Iterator[bytes]) -> Generator[int, None, str]:
    """Append a file of `size` bytes; gives the bytes of each piece that was written, and returns its SHA-256.

    Raises ArchiveError when the pieces are not `size` bytes together.
    """
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    target.write(info.tobuf(tarfile.GNU_FORMAT))
    digest, written = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        target.write(piece)
        written += len(piece)
        yield len(piece)
    if written != size:
        raise ArchiveError(f"{name} has {written} bytes, not {size}: it changed while it was read.")
    target.write(bytes(-size % BLOCK))
    return digest.hexdigest()


def write_end(target: BinaryIO) -> None:
    """What ends a tar."""
    target.write(bytes(2 * BLOCK))


def entries(source: BinaryIO) -> Generator[Entry]:
    """The files of an archive in their order. Raises ArchiveError for whatever this module does not write."""
    seen: set[str] = set()
    while (header := _read(source, BLOCK)) != bytes(BLOCK):
        info = _parse(header)
        if info.name in seen:
            raise ArchiveError(f"{info.name} is there twice.")
        seen.add(info.name)
        yield Entry(info.name, info.size, _pieces(source, info.size))
        _read(source, -info.size % BLOCK)


def _parse(header: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        raise ArchiveError("It is no backup of threadmill, or it is damaged.") from error
    if info.type != tarfile.REGTYPE or info.linkname or info.size < 0 or not _NAME.fullmatch(info.name):
        raise ArchiveError("It holds something a backup of threadmill does not hold.")
    return info


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = _read(source, min(PIECE, size))
        size -= len(piece)
        yield piece


def _read(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise ArchiveError("It ends too early: it was cut off, or is still being written.")
    return data
