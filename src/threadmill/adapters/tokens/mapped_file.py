"""What a process maps of a file it has read for good: pages the system may have back."""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MADV_PAGEOUT = 21
"""Linux 5.4 on. Changes nothing of what memory says: who looks there again reads the file again."""


def page_out(path: Path) -> None:
    """Give back the unchanged pages of a file that is mapped here. Where the system cannot, nothing happens."""
    madvise: Any = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None:
        return
    for begin, end in _mapped(path):
        madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_PAGEOUT)


def _mapped(path: Path) -> Iterator[tuple[int, int]]:
    """From where to where it is mapped, but for what may be written."""
    maps = Path("/proc/self/maps")
    for line in maps.read_text().splitlines() if maps.exists() else ():
        area, rights, *_, name = line.split(maxsplit=5)
        if name == str(path) and "w" not in rights:
            begin, _, end = area.partition("-")
            yield int(begin, 16), int(end, 16)
