"""What an archive says of itself: counts and digests."""

from dataclasses import dataclass, field

import msgspec

from threadmill.cli.backup.archive import ArchiveError

FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """Digests are SHA-256 in hex; a blob's is its name. `store` says where the bytes of files lie.

    `lost` are blobs the database names that were not there when it was copied.
    """

    version: str
    created_at: int
    database: str
    configuration: str
    store: str
    rows: dict[str, int]
    blobs: int
    blob_bytes: int
    lost: list[str] = field(default_factory=list[str])
    format: int = FORMAT


def dump(manifest: Manifest) -> bytes:
    """Its JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest))


def parse(data: bytes) -> Manifest:
    """The manifest of an archive. Raises ArchiveError."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveError(f"Its manifest cannot be read: {error}.") from error
    if found.format != FORMAT:
        raise ArchiveError(f"Its format is {found.format}; this version of threadmill knows {FORMAT}.")
    return found


def told(manifest: Manifest) -> str:
    """What is in the archive, in a line."""
    kinds = (("assistants", "assistants"), ("threads", "threads"), ("messages", "messages"), ("runs", "runs"))
    parts = [f"{manifest.rows.get(table, 0):,} {name}" for table, name in (*kinds, ("files", "files"))]
    return f"{', '.join(parts)} ({manifest.blobs:,} blobs, {manifest.blob_bytes:,} bytes)"
