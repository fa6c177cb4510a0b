"""`python -m tests.sandbox.ordinary_user COMMAND…`: root becomes nobody and then the command.

This Python and this clone may lie where nobody may go (/root). A mount namespace of our own shows them at the same paths,
and nothing else of what is closed.
"""

import ctypes
import os
import stat
import sys
from pathlib import Path

from threadmill.adapters.sandbox.environment import installed_environment

NOBODY = 65534
NEWNS, BIND, REC, PRIVATE = 0x00020000, 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, str(target), kind, options)]
    if LIBC.mount(texts[0], texts[1], texts[2], flags, texts[3]) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def closed_parent(path: Path) -> Path | None:
    """The outermost folder on the way that others may not enter."""
    return next((one for one in reversed(path.parents) if not one.stat().st_mode & stat.S_IXOTH), None)


def show(paths: set[Path]) -> None:
    """Cover each closed folder with an empty open one that has only the paths in it."""
    closed = {path: folder for path in paths if (folder := closed_parent(path)) is not None}
    handles = {path: os.open(path, os.O_PATH) for path in closed}
    for folder in set(closed.values()):
        mount("open", folder, "tmpfs", 0, "mode=755")
    for path, handle in handles.items():
        path.mkdir(parents=True)
        mount(f"/proc/self/fd/{handle}", path, None, BIND | REC)
        os.close(handle)


def main() -> None:
    if LIBC.unshare(NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount("none", Path("/"), None, REC | PRIVATE)
    show({Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), Path.cwd(), installed_environment()})
    os.chdir(Path.cwd())
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    print(f"uid {os.getuid()}", file=sys.stderr, flush=True)
    os.execve(sys.argv[1], sys.argv[1:], {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"})


if __name__ == "__main__":
    main()
