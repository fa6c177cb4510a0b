"""The bubblewrap command line: an empty world with the system's libraries and the sandbox's Python, all read-only."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

USER = 1000
"""The user inside; `inside/passwd` names it."""

_SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share")
_MERGED = ("/bin", "/lib", "/lib32", "/lib64")
_ETC = ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types")
_VARIABLES = {
    "HOME": "/home/sandbox",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # a process that is forked has one thread
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/opt/python/lib",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 - inside
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/opt/python/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/opt/python/site:/opt/runner/inside/modules",
    "TMPDIR": "/tmp",  # noqa: S108 - inside
}
_START = """
import sys
sys.path[:0] = ['/opt/runner', '/opt/python/site']
from inside.zygote import main
main()
"""


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """Directories on this machine: the sandbox's Python environment, and the program that runs inside."""

    environment: Path
    inside: Path


def find_bwrap() -> str | None:
    """The bubblewrap program, if it is installed."""
    return shutil.which("bwrap")


def bwrap_command(bwrap: str, control: int) -> list[str]:
    """The command; `{environment}` and `{inside}` are filled in by `launch.py`. `control`: an inherited descriptor."""
    python = ["/opt/python/bin/python3", "-I", "-S", "-B", "-c", _START, str(control)]
    return [bwrap, *_namespaces(), *_files(), *_variables(), "--", *python]


def _namespaces() -> Iterator[str]:
    yield from ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")
    yield from ("--unshare-cgroup-try", "--as-pid-1", "--die-with-parent", "--new-session")
    yield from ("--hostname", "sandbox", "--uid", str(USER), "--gid", str(USER))


def _files() -> Iterator[str]:
    for path in filter(lambda name: Path(name).is_dir(), _SYSTEM):
        yield from ("--ro-bind", path, path)
    for path in _MERGED:
        if Path(path).is_symlink():
            yield from ("--symlink", f"usr{path}", path)
        else:
            yield from ("--ro-bind-try", path, path)
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for hidden in _packages_of_the_system():
        yield from ("--tmpfs", hidden, "--remount-ro", hidden)
    yield from ("--ro-bind", "{inside}/passwd", "/etc/passwd", "--ro-bind", "{inside}/group", "/etc/group")
    yield from ("--ro-bind", "{environment}", "/opt/python", "--ro-bind", "{inside}", "/opt/runner/inside")
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108 - inside
    for empty in ("/mnt/data", "/home/sandbox", "/scratch"):
        yield from ("--dir", empty)
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/")


def _packages_of_the_system() -> Iterator[str]:
    """Python packages of the machine, the server's perhaps among them: none of the sandbox's business."""
    for path in (Path("/usr/lib/python3"), *Path("/usr/lib").glob("python3.*/site-packages")):
        if path.is_dir() and not path.is_symlink():
            yield str(path)


def _variables() -> Iterator[str]:
    yield "--clearenv"
    for name, value in _VARIABLES.items():
        yield from ("--setenv", name, value)
