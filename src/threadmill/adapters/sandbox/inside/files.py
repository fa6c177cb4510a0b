"""The data directory as the session sees it: what changed, what is an image, bytes in and out."""

import io
import os
import stat
from collections.abc import Iterator
from typing import TypeAlias

Snapshot: TypeAlias = dict[str, tuple[int, int, int]]
"""Relative path -> (inode, size, changed in nanoseconds)."""

MOST_FILES, MOST_TOLD = 10_000, 100
LARGEST_IMAGE, MOST_IMAGES = 20_000_000, 50
_STARTS = {
    ".png": b"\x89PNG\r\n\x1a\n",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".gif": b"GIF8",
    ".webp": b"RIFF",
}
"""Suffix and first bytes of what counts as an image: the kinds a model can look at."""


class NotAFile(Exception):
    """A directory, a link, a device: nothing to read or write."""


class Directory:
    """Everything below one directory. Links are never followed."""

    def __init__(self, root: str) -> None:
        self.root = root

    def snapshot(self) -> Snapshot:
        """All regular files now."""
        found: Snapshot = {}
        for path in self._walk():
            state = os.lstat(path)
            if stat.S_ISREG(state.st_mode):
                name = os.path.relpath(path, self.root)
                found[name] = (state.st_ino, state.st_size, state.st_mtime_ns)
        return found

    def _walk(self) -> Iterator[str]:
        seen = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118 - a hot path over many entries
                if seen < MOST_FILES and _is_text(path) and os.path.lexists(path):
                    seen += 1
                    yield path

    def changed(self, before: Snapshot) -> list[tuple[str, int]]:
        """Paths and sizes of what is new or different, oldest first; at most MOST_TOLD."""
        now = self.snapshot()
        different = [(state[2], name) for name, state in now.items() if before.get(name) != state]
        return [(name, now[name][1]) for _, name in sorted(different)[:MOST_TOLD]]

    def image(self, path: str, size: int) -> bytes | None:
        """The content if it is an image of a bearable size."""
        start = _STARTS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - a name, not a path on this machine
        if start is None or not 0 < size <= LARGEST_IMAGE:
            return None
        try:
            with self.open(path) as file:
                content = file.read(LARGEST_IMAGE + 1)
        except (OSError, NotAFile):
            return None
        return content if content.startswith(start) else None

    def create(self, path: str) -> io.FileIO:
        """An empty file to write into, with the folders it needs. Raises OSError."""
        whole = os.path.join(self.root, path)  # noqa: PTH118 - as above
        os.makedirs(os.path.dirname(whole), exist_ok=True)  # noqa: PTH103, PTH120 - as above
        if os.path.lexists(whole):
            os.unlink(whole)  # noqa: PTH108 - as above
        handle = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        return io.FileIO(handle, "wb")

    def remove(self, path: str) -> None:
        """Take away what `create` began."""
        os.unlink(os.path.join(self.root, path))  # noqa: PTH108, PTH118 - as above

    def open(self, path: str) -> io.FileIO:
        """A regular file's content. Raises NotAFile, OSError."""
        handle = os.open(os.path.join(self.root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # noqa: PTH118
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise NotAFile("not a regular file")
        return io.FileIO(handle, "rb")


def _is_text(path: str) -> bool:
    """A name that is not UTF-8 cannot be told to anybody."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
