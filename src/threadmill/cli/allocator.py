"""How the C library keeps memory: by default what many threads gave back stays with the process for good."""

import ctypes
import os
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""glibc's numbers in `malloc.h`."""

ARENAS = 2
"""Places threads allocate from. By default eight a core, each of which keeps its peak: 300 small files left 125 MB so, 25 MB now."""

KEPT_BYTES = 1024 * 1024
"""Larger blocks, and more than this at the end of an arena, go back to the system at once."""


def bound_kept_memory() -> None:
    """Call before threads are started. Elsewhere than on glibc, or if `MALLOC_*` is set, nothing happens."""
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
