"""The escape table: attempts to get out, run as the model's code would be, each named, each harmless if it succeeds.

A file that must not be writable is opened for writing and closed; a system call gets arguments that do nothing; what
would change this process is tried in a child. Refuses to run anywhere but inside the sandbox.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from . import seccomp

HERE = "/opt/runner/inside/escape_tests.py"
LIBC = ctypes.CDLL(None, use_errno=True)
VARIABLES = {
    "HOME",
    "JE_ARROW_MALLOC_CONF",
    "LANG",
    "LD_LIBRARY_PATH",
    "LC_CTYPE",
    "MPLBACKEND",
    "MPLCONFIGDIR",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PWD",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "TMPDIR",
}
WRITABLE = {"/mnt/data", "/tmp", "/dev/shm", "/home/sandbox"}  # noqa: S108 - inside

SECRETS = (
    "/etc/shadow",
    "/root",
    "/srv",
    "/var",
    "/run",
    "/proc/1/environ",
    "/proc/1/mem",
    "/proc/1/root/etc",
    "/proc/1/fd",
    "/proc/kcore",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/sda",
    "/dev/vda",
    "/sys",
    "/boot",
)
MUST_NOT_WRITE = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/proc/sys/vm/drop_caches",
    "/etc/passwd",
    "/usr/bin/env",
    "/opt/python/bin/python3",
    "/opt/runner/inside/zygote.py",
    "/sys/kernel/uevent_helper",
)
MUST_NOT_CREATE_IN = (
    "/",
    "/etc",
    "/usr",
    "/usr/lib",
    "/opt/python/site",
    "/opt/runner",
    "/dev",
    "/mnt",
    "/home",
    "/proc",
)
CALLS: dict[str, tuple[int, ...]] = {
    "keyctl": (0, -3, 0),
    "userfaultfd": (0,),
    "bpf": (0, 0, 0),
    "io_uring_setup": (0, 0),
    "perf_event_open": (0, 0, -1, -1, 0),
    "open_by_handle_at": (-1, 0, 0),
    "name_to_handle_at": (-1, 0, 0, 0, 0),
    "setns": (-1, 0),
    "process_vm_readv": (1, 0, 0, 0, 0, 0),
    "memfd_create": (0, 0),
    "shmget": (0, 4096, 0o1600),
    "syslog": (10, 0, 0),
    "init_module": (0, 0, 0),
    "pivot_root": (0, 0),
    "move_mount": (-1, 0, -1, 0, 0),
    "fsopen": (0, 0),
    "kcmp": (1, 1, 0, 0, 0),
    "pidfd_getfd": (-1, 0, 0),
    "fanotify_init": (0, 0),
    "personality": (0xFFFFFFFF,),
    "quotactl": (0, 0, 0, 0),
}
"""Arguments with which each call does nothing even where it is allowed."""


def run_escape_tests(port: int, abstract: str, path: str, hidden: tuple[str, ...], processes: int) -> str:
    """JSON: the names of the attempts that succeeded, and how many were made."""
    if __file__ != HERE or os.uname().nodename != "sandbox":
        raise SystemExit("the escape table runs inside the sandbox only")
    attempts = dict(_attempts(port, abstract, path, hidden, processes))
    succeeded = [name for name, attempt in attempts.items() if _tried(attempt)]
    return json.dumps({"succeeded": succeeded, "attempts": len(attempts)})


def _tried(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except (OSError, ImportError, ValueError):
        return False


def _attempts(
    port: int, abstract: str, path: str, hidden: tuple[str, ...], processes: int
) -> Iterator[tuple[str, Callable[[], bool]]]:
    for secret in (*SECRETS, *hidden):
        yield f"read {secret}", lambda secret=secret: _readable(secret)
    for file in MUST_NOT_WRITE:
        yield f"write {file}", lambda file=file: _writable(file)
    for folder in MUST_NOT_CREATE_IN:
        yield f"create a file in {folder}", lambda folder=folder: _can_create(folder)
    yield "write outside the session's own disk", _other_writable_mounts
    for package in ("threadmill", "fastapi", "sqlalchemy"):
        yield f"import {package}", lambda package=package: bool(__import__(package))
    yield "see variables of the server's environment", lambda: not set(os.environ) <= VARIABLES
    yield "see users of the machine", lambda: len(Path("/etc/passwd").read_text().splitlines()) != 1
    yield "hold a descriptor of somebody else's", _has_strange_descriptors
    yield "see other processes", lambda: max(map(int, filter(str.isdigit, os.listdir("/proc")))) > 1000
    yield from _network(port, abstract, path)
    yield from _calls()
    yield from _privileges()
    yield from _limits(processes)


def _readable(path: str) -> bool:
    if Path(path).is_dir():
        return bool(os.listdir(path))
    return bool(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1))


def _writable(path: str) -> bool:
    os.close(os.open(path, os.O_WRONLY))
    return True


def _can_create(folder: str) -> bool:
    path = Path(folder, "escape-attempt")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    path.unlink()
    return True


def _other_writable_mounts() -> bool:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    others = [place for place in mounts if place not in WRITABLE and Path(place).is_dir()]
    return any(_tried(lambda place=place: _can_create(place)) for place in others)


def _has_strange_descriptors() -> bool:
    """The standard streams and the interpreter's channel are its own; the listing opens one more."""
    descriptors = [fd for fd in map(int, os.listdir("/proc/self/fd")) if _tried(lambda fd=fd: bool(os.fstat(fd)))]
    kinds = [stat.S_IFMT(os.fstat(fd).st_mode) for fd in descriptors if fd > 2]
    return kinds != [stat.S_IFSOCK]


def _network(port: int, abstract: str, path: str) -> Iterator[tuple[str, Callable[[], bool]]]:
    for name in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH", "AF_TIPC"):
        family = getattr(socket, name, None)
        if family is not None:
            yield f"open a socket of {name}", lambda family=family: _opened(family)
    yield "connect to 127.0.0.1", lambda: bool(socket.create_connection(("127.0.0.1", port), timeout=1))
    yield "connect to an abstract socket of the machine", lambda: _connected("\0" + abstract)
    yield "connect to a socket file of the machine", lambda: _connected(path)


def _opened(family: int) -> bool:
    """Every family knows one of these types."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        return True
    return False


def _connected(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
    return True


def _calls() -> Iterator[tuple[str, Callable[[], bool]]]:
    numbers = seccomp.X86_64 if platform.machine() == "x86_64" else seccomp.AARCH64
    for name, arguments in CALLS.items():
        yield f"call {name}", lambda name=name, arguments=arguments: _was_allowed(numbers[name], arguments)
    yield "call clone3", lambda: _was_allowed(435, (0, 0))
    seize, traceme = 0x4206, 0
    yield "trace process 1", lambda: _in_child(lambda: _was_allowed(numbers["ptrace"], (seize, 1, 0, 0)))
    yield "be traced", lambda: _in_child(lambda: _was_allowed(numbers["ptrace"], (traceme, 0, 0, 0)))
    for name, flag in {"user": 0x10000000, "network": 0x40000000, "mount": 0x00020000, "pid": 0x20000000}.items():
        yield f"make a {name} namespace", lambda flag=flag: _in_child(lambda: LIBC.unshare(flag) == 0)
    yield "mount a file system", lambda: _in_child(lambda: LIBC.mount(b"t", b"/tmp", b"tmpfs", 0, None) == 0)
    yield "change the root directory", lambda: _in_child(lambda: LIBC.chroot(b"/tmp") == 0)
    yield "unmount what hides something", lambda: _in_child(lambda: LIBC.umount2(b"/tmp", 2) == 0)


def _privileges() -> Iterator[tuple[str, Callable[[], bool]]]:
    yield "become root", lambda: _in_child(lambda: LIBC.setuid(0) == 0 or LIBC.setgid(0) == 0)
    yield "change groups", lambda: _in_child(lambda: LIBC.setgroups(0, None) == 0)
    yield "make a device", lambda: bool(os.mknod("/tmp/null", 0o20600, os.makedev(1, 3)) is None)  # noqa: S108
    yield (
        "keep capabilities",
        lambda: any(int(_status(f"Cap{name}"), 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")),
    )
    yield "gain privileges by setuid programs", lambda: _status("NoNewPrivs") != "1"
    yield "run without a system call filter", lambda: _status("Seccomp") != "2"


def _limits(processes: int) -> Iterator[tuple[str, Callable[[], bool]]]:
    for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"):
        which = getattr(resource, name)
        yield f"have no {name}", lambda which=which: resource.getrlimit(which)[1] == resource.RLIM_INFINITY
    yield "have a socket hold more than is counted for it", _enlarged_socket
    yield "start more processes than allowed", lambda: _forked(processes + 8) > processes


def _enlarged_socket() -> bool:
    one, other = socket.socketpair()
    with one, other:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
    return True


def _forked(most: int) -> int:
    """How many children can be had at once; each only waits to be told to go."""
    pids: list[int] = []
    try:
        while len(pids) < most:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
    except BlockingIOError:
        pass
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return len(pids)


def _status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def _was_allowed(number: int, arguments: tuple[int, ...]) -> bool:
    """Whether the kernel got to look at the call."""
    result = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments))
    return result >= 0 or ctypes.get_errno() not in {errno.EPERM, errno.ENOSYS}


def _in_child(attempt: Callable[[], bool]) -> bool:
    """Try where nothing is left of it."""
    pid = os.fork()
    if pid == 0:
        os._exit(1 if attempt() else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
