"""The walls of one session, built in a child of the zygote before any of the model's code runs.

Own user, mount, process, network and IPC namespaces; one bounded tmpfs for all that can be written; a read-only /proc;
then no capability, no new privileges, no further namespaces, and the system call filter.
"""

import ctypes
import os
import platform
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import seccomp

LIBC = ctypes.CDLL(None, use_errno=True)
_PYTHON = ctypes.PyDLL(None, use_errno=True)
"""The same library, called without letting go of the interpreter's lock: a fork is then as Python expects one."""

_PYTHON.syscall.argtypes = (ctypes.c_long, ctypes.c_ulong, *[ctypes.c_void_p] * 4)
_PYTHON.syscall.restype = ctypes.c_long
_CLONE = {"x86_64": 56, "aarch64": 220}
LIBC.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
LIBC.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)

DATA = "/mnt/data"
_SCRATCH = "/scratch"
_WRITABLE = (DATA, "/tmp", "/dev/shm", "/home/sandbox")  # noqa: S108 - the session's own, not the machine's
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _DETACH = 1, 2, 4, 8, 32, 4096, 2
_SET_DUMPABLE, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT, _CLEAR_ALL = 4, 24, 38, 47, 4
_CAPSET_VERSION_3, _HIGHEST_CAPABILITY = 0x20080522, 63


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one session; bytes, counts and seconds. `processes` counts threads too."""

    memory: int
    processes: int
    disk: int
    files: int
    log: int
    grace: float


def check(result: int, what: str) -> None:
    """Raise OSError for a C call that failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def close_all_but(*kept: int) -> None:
    """Before foreign code runs: no descriptor but these and the three standard streams is open in this process."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with suppress(OSError):  # the listing's own is closed already
                os.close(int(name))


def fork_into_namespaces() -> int:
    """`os.fork` whose child is process 1 of namespaces of its own. Raises OSError.

    One call, because `unshare` would take one more copy of this large process, which costs as much as all the rest.
    """
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_PYTHON.syscall(_CLONE[platform.machine()], _NAMESPACES | signal.SIGCHLD, None, None, None, None))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    number = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone: {os.strerror(number)}")
    return pid


def _map_user(user: int, group: int) -> None:
    """Be the same one in the new namespace as outside."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def isolate_session(limits: Limits, user: int, group: int) -> None:
    """To be called by process 1 of the new namespaces; `user` and `group` are who it was outside. Raises OSError."""
    _map_user(user, group)
    _mount_scratch(limits)
    _mount_proc()
    os.chdir(DATA)
    check(LIBC.prctl(_SET_DUMPABLE, 0, None, 0, 0), "dumpable")
    _drop_capabilities()
    seccomp.install(LIBC)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind, options)]
    check(LIBC.mount(encoded[0], encoded[1], encoded[2], flags, encoded[3]), f"mount {target}")


def _mount_scratch(limits: Limits) -> None:
    """One tmpfs, one quota: everything the session can write lies in it."""
    options = f"size={limits.disk},nr_inodes={limits.files},mode=755"
    _mount("scratch", _SCRATCH, "tmpfs", _NOSUID | _NODEV, options)
    for place in _WRITABLE:
        part = Path(_SCRATCH, place.rpartition("/")[2])
        part.mkdir(mode=0o700)
        _mount(str(part), place, None, _BIND)
    check(LIBC.umount2(_SCRATCH.encode(), _DETACH), "umount")


def _mount_proc() -> None:
    """Only the session's own processes; further user namespaces are switched off through it, then it is read-only."""
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _mount("proc", "/proc", None, _REMOUNT | _RDONLY | _NOSUID | _NODEV | _NOEXEC)


def _drop_capabilities() -> None:
    for number in range(_HIGHEST_CAPABILITY + 1):
        if LIBC.prctl(_CAPBSET_DROP, number, None, 0, 0) != 0:
            break
    LIBC.prctl(_CAP_AMBIENT, _CLEAR_ALL, None, 0, 0)
    who, nothing = (ctypes.c_uint32 * 2)(_CAPSET_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    check(LIBC.capset(who, nothing), "capset")
    check(LIBC.prctl(_SET_NO_NEW_PRIVS, 1, None, 0, 0), "no_new_privs")


def set_interpreter_limits(limits: Limits) -> None:
    """Limits of the process that runs the model's code and of all it starts. It may see its own /proc again."""
    check(LIBC.prctl(_SET_DUMPABLE, 1, None, 0, 0), "dumpable")
    bounds = {
        resource.RLIMIT_AS: limits.memory,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: limits.disk,
        resource.RLIMIT_NOFILE: 512,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_SIGPENDING: 1024,
    }
    for what, most in bounds.items():
        _, hard = resource.getrlimit(what)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))
