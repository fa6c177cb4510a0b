"""What a store's index holds: which rows belong to which chunk of which file.

Written whole after each change, by renaming. It may be older than the parts it describes, never newer; `StoreIndex.repair` puts
that right.
"""

from pathlib import Path

import msgspec

FORMAT = 3
"""Raised when the files' layout changes: older ones are rebuilt."""


class FileRows(msgspec.Struct, frozen=True):
    """One file's chunks: chunk n is the n-th row of `runs`, each a first row and a length.

    `generation` is new for each time a file is put. `checksum` is a checksum of the vectors; None: the file has none.
    """

    file_id: str
    edition: str
    generation: int
    runs: tuple[tuple[int, int], ...]
    checksum: int | None = None

    @property
    def count(self) -> int:
        """Chunks."""
        return sum(length for _, length in self.runs)

    def rows(self) -> list[int]:
        """The row of each chunk."""
        return [row for start, length in self.runs for row in range(start, start + length)]


class Manifest(msgspec.Struct):
    """A store's files by id. `row_count` is the number of rows ever in use, `dimensions` 0 before the first vector."""

    format: int = FORMAT
    dimensions: int = 0
    row_count: int = 0
    next_generation: int = 1
    files: dict[str, FileRows] = msgspec.field(default_factory=dict[str, FileRows])

    def free_runs(self) -> list[tuple[int, int]]:
        """Rows below `row_count` that no file has, as runs."""
        taken = sorted(run for file in self.files.values() for run in file.runs)
        free: list[tuple[int, int]] = []
        at = 0
        for start, length in taken:
            if start > at:
                free.append((at, start - at))
            at = start + length
        if at < self.row_count:
            free.append((at, self.row_count - at))
        return free


def allocate_rows(free: list[tuple[int, int]], row_count: int, count: int) -> tuple[tuple[tuple[int, int], ...], int]:
    """`count` rows as runs, out of `free` (which shrinks), then from `row_count` on; and the new row count."""
    runs: list[tuple[int, int]] = []
    while count and free:
        start, length = free.pop()
        used = min(length, count)
        runs.append((start, used))
        count -= used
        if used < length:
            free.append((start + used, length - used))
    if count:
        runs.append((row_count, count))
    return tuple(runs), row_count + count


def load(path: Path) -> Manifest | None:
    """The manifest at `path`; None if there is none that can be understood."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.format == FORMAT else None


def save(path: Path, manifest: Manifest) -> None:
    """Replace what is at `path`."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(manifest))
    fresh.replace(path)
