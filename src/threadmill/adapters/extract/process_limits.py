"""What a process that reads hostile files gives up before it reads: rights, memory, time, and nearly all system calls.

Linux on x86-64 and arm64 has the whole fence: after `restrict_process` a process can read and write what is already open, get
memory, and end; it cannot open a file, a socket or a process. Elsewhere only the limits hold. Standard library only.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys

NOBODY = 65_534

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""Refused calls answer EPERM; a call in a foreign architecture's numbering ends the process."""

LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06

_CALLS: dict[str, tuple[int, frozenset[int]]] = {
    "x86_64": (
        0xC000003E,
        frozenset({0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 24, 25, 28, 39, 60, 96, 98, 100, 131, 202, 204, 228})
        | {231, 262, 318, 334},
    ),
    "aarch64": (
        0xC00000B7,
        frozenset({57, 62, 63, 64, 67, 79, 80, 93, 94, 98, 113, 123, 124, 132, 134, 135, 139, 153, 165, 169, 172, 214})
        | {215, 216, 222, 226, 233, 278, 293},
    ),
}
"""The audit number of each architecture and its numbers of: read write close fstat lseek mmap mprotect munmap brk
rt_sigaction rt_sigprocmask rt_sigreturn pread64 sched_yield mremap madvise getpid exit gettimeofday getrusage times
sigaltstack futex sched_getaffinity clock_gettime exit_group newfstatat getrandom rseq."""


_PARENT_CALLS: dict[str, frozenset[int]] = {
    "x86_64": frozenset(
        {
            7,
            33,
            44,
            45,
            46,
            47,
            56,
            57,
            61,
            62,
            72,
            102,
            104,
            107,
            108,
            110,
            157,
            160,
            186,
            247,
            271,
            273,
            292,
            302,
            317,
        }
        | {435, 436}
    ),
    "aarch64": frozenset(
        {
            24,
            25,
            73,
            95,
            99,
            129,
            164,
            167,
            173,
            174,
            175,
            176,
            177,
            178,
            206,
            207,
            211,
            212,
            220,
            260,
            261,
            277,
            435,
            436,
        }
    ),
}
"""What the readers' parent may do besides: poll dup send receive fork wait kill fcntl getuid getppid prctl setrlimit gettid
prlimit64 seccomp close_range."""


def supports_seccomp() -> bool:
    """This system has the whole fence."""
    return sys.platform == "linux" and platform.machine() in _CALLS


def restrict_process(memory_bytes: int, cpu_seconds: int) -> None:
    """Go behind the fence; there is no way back. Raises OSError where the fence cannot be had but should."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    with contextlib.suppress(ValueError, OSError):  # macOS has no limit of the address space
        _limit(resource.RLIMIT_AS, memory_bytes)
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        drop_rights()
        # After that, for the kernel forgets it when rights change.
        _check(library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        _filter(library)


def restrict_parent() -> None:
    """What the parent of all readers gives up: root, new files, new sockets, other programs. Raises OSError."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        drop_rights()
        _filter(library, _PARENT_CALLS.get(platform.machine(), frozenset()))


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))


def drop_rights() -> None:
    """Root becomes nobody, before anything else is given up."""
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # a container without CAP_SETUID: the filter holds all the same
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)


def _filter(library: ctypes.CDLL, more: frozenset[int] = frozenset()) -> None:
    if not supports_seccomp():
        return
    architecture, calls = _CALLS[platform.machine()]
    program = _program(architecture, calls | more)
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    _check(library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0))


def _program(architecture: int, calls: frozenset[int]) -> bytes:
    """Instructions of the classic packet filter: code, jump if true, jump if false, operand."""
    lines = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    # Numbers from here on are the x32 ones of an x86-64 kernel; on arm64 there are none so high.
    lines += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL)]
    for number in sorted(calls):
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    lines.append((RETURN, 0, 0, REFUSE))
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "The process cannot be fenced in")
