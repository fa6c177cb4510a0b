"""The data directory as the session sees it: what changed, what is an image, bytes in and out."""

import io
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

Snapshot: TypeAlias = dict[str, tuple[int, int, int]]
"""Relative path -> (inode, size, changed in nanoseconds)."""

MAX_FILES, MAX_REPORTED, MAX_DEPTH, MAX_PATH_BYTES = 10_000, 100, 50, 1_024
MAX_IMAGE_BYTES, MAX_IMAGES = 20_000_000, 50
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
        """All regular files now, as far as they can be named; at most MAX_FILES, at most MAX_DEPTH folders down."""
        found: Snapshot = {}
        waiting = [""]
        while waiting and len(found) < MAX_FILES:
            for entry in self._entries(waiting.pop()):
                name = os.path.relpath(entry.path, self.root)
                if entry.is_dir(follow_symlinks=False):
                    waiting += [name] if name.count("/") < MAX_DEPTH else []
                elif entry.is_file(follow_symlinks=False) and _is_text(name):
                    state = entry.stat(follow_symlinks=False)
                    found[name] = (state.st_ino, state.st_size, state.st_mtime_ns)
        return found

    def _entries(self, folder: str) -> "list[os.DirEntry[str]]":
        """None of a folder whose path is too long to be used, or that is closed."""
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:  # noqa: PTH118 - a hot path over many entries
                return list(entries)
        except OSError:
            return []

    def changed(self, before: Snapshot) -> list[tuple[str, int]]:
        """Paths and sizes of what is new or different, oldest first; at most MAX_REPORTED."""
        now = self.snapshot()
        different = [(state[2], name) for name, state in now.items() if before.get(name) != state]
        return [(name, now[name][1]) for _, name in sorted(different)[:MAX_REPORTED]]

    def image(self, path: str, size: int) -> bytes | None:
        """The content if it is an image of a bearable size."""
        start = _STARTS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - a name, not a path on this machine
        if start is None or not 0 < size <= MAX_IMAGE_BYTES:
            return None
        try:
            with self.open(path) as file:
                content = file.read(MAX_IMAGE_BYTES + 1)
        except (OSError, NotAFile):
            return None
        return content if content.startswith(start) else None

    def create(self, path: str) -> io.FileIO:
        """An empty file to write into, with the folders it needs. Raises OSError."""
        with self._parent(path, make=True) as (folder, name):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            return io.FileIO(os.open(name, flags, 0o644, dir_fd=folder), "wb")

    def remove(self, path: str) -> None:
        """Take away what `create` began."""
        with self._parent(path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def open(self, path: str) -> io.FileIO:
        """A regular file's content. Raises NotAFile, OSError."""
        with self._parent(path) as (folder, name):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise NotAFile("not a regular file")
        return io.FileIO(handle, "rb")

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder a path is in, reached step by step so that no step is a link, and the last name."""
        *folders, name = path.split("/")
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, 0o755, dir_fd=handle)
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle, name
        finally:
            os.close(handle)


def _is_text(path: str) -> bool:
    """A name that is not UTF-8, has control characters or is very long cannot be told to anybody."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= MAX_PATH_BYTES and not any(unicodedata.category(character) == "Cc" for character in path)
