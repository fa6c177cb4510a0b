"""A program of its own, run by the server with an empty environment: gives up root, then becomes bubblewrap.

As root it first binds what the sandbox needs to a place an unprivileged user can reach, in a mount namespace nobody
else sees: the server's data may lie under /root. `launch.py JSON`, JSON being {user, paths, command, control}; `{NAME}`
in the command stands for a path, `control` is the one descriptor that is handed on. Standard library only.
"""

import ctypes
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

STAGE = "/mnt"
_NEWNS, _BIND, _REC, _PRIVATE, _RDONLY, _NOSUID, _NODEV = 0x00020000, 4096, 16384, 1 << 18, 1, 2, 4


def bind_paths(paths: dict[str, str]) -> dict[str, str]:
    """Bind the paths below STAGE. Where the kernel does not let us, they must be reachable as they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNS) != 0 or libc.mount(b"none", b"/", None, _REC | _PRIVATE, None) != 0:
        return paths
    if libc.mount(b"stage", STAGE.encode(), b"tmpfs", _NOSUID | _NODEV, b"size=1m,mode=755") != 0:
        return paths
    staged: dict[str, str] = {}
    for name, path in paths.items():
        target, source = Path(STAGE, name), Path(STAGE, f"{name}.source")
        target.mkdir()
        source.mkdir()
        if libc.mount(path.encode(), str(source).encode(), None, _BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"cannot bind {path}")
        # A list of mounts names where a bound folder lies on its disk; an overlay names only what it is told.
        lower = f"lowerdir={source}:{STAGE}/{name}".encode()
        hidden = libc.mount(b"overlay", str(target).encode(), b"overlay", _RDONLY | _NOSUID | _NODEV, lower) == 0
        staged[name] = str(target if hidden else source)
    return staged


def drop_to_user(user: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def close_all_but(kept: set[int]) -> None:
    """Whatever the server itself inherited or forgot to close must not be there inside."""
    for name in [entry.name for entry in Path("/proc/self/fd").iterdir()]:
        if int(name) > 2 and int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))


def main() -> None:
    """Never returns."""
    order = json.loads(sys.argv[1])
    close_all_but({order["control"]})
    os.umask(0o022)
    os.nice(5)
    Path("/proc/self/oom_score_adj").write_text("1000")  # when memory runs out, the kernel takes the sandbox first
    paths: dict[str, str] = order["paths"]
    if order["user"] is not None:
        paths = bind_paths(paths)
        drop_to_user(order["user"])
    if os.getuid() == 0:
        sys.exit("refusing to run the sandbox as root")
    command = [part.format(**paths) for part in order["command"]]
    os.execve(command[0], command, {})  # noqa: S606 - this is the program's purpose


if __name__ == "__main__":
    main()
