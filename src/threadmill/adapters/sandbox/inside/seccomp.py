"""The system calls a session may not make, as a classic BPF program built here: no library, no blob.

Denied with EPERM: what changes or reads the machine (mount, bpf, ptrace, keys, clocks, modules, swap), memory that no
limit counts (memfd, System V, message queues, larger buffers of sockets), and namespaces. Sockets: local ones only. Anything the kernel learned
after this list was written answers ENOSYS, as does clone3, whose flags a filter cannot read (the C library then uses clone).
"""

import ctypes
import errno
import platform
import struct

# Numbers from the kernel's headers; tests/sandbox compares them where the headers are installed. Numbers never change.
X86_64 = {
    "acct": 163,
    "add_key": 248,
    "adjtimex": 159,
    "bpf": 321,
    "chroot": 161,
    "clock_adjtime": 305,
    "clock_settime": 227,
    "create_module": 174,
    "delete_module": 176,
    "fanotify_init": 300,
    "fanotify_mark": 301,
    "finit_module": 313,
    "fsconfig": 431,
    "fsmount": 432,
    "fsopen": 430,
    "fspick": 433,
    "get_kernel_syms": 177,
    "init_module": 175,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "io_uring_setup": 425,
    "ioperm": 173,
    "iopl": 172,
    "kcmp": 312,
    "kexec_file_load": 320,
    "kexec_load": 246,
    "keyctl": 250,
    "landlock_create_ruleset": 444,
    "lookup_dcookie": 212,
    "mbind": 237,
    "memfd_create": 319,
    "memfd_secret": 447,
    "migrate_pages": 256,
    "mount": 165,
    "mount_setattr": 442,
    "move_mount": 429,
    "move_pages": 279,
    "mq_open": 240,
    "msgget": 68,
    "name_to_handle_at": 303,
    "nfsservctl": 180,
    "open_by_handle_at": 304,
    "open_tree": 428,
    "perf_event_open": 298,
    "personality": 135,
    "pidfd_getfd": 438,
    "pivot_root": 155,
    "process_madvise": 440,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "ptrace": 101,
    "query_module": 178,
    "quotactl": 179,
    "quotactl_fd": 443,
    "reboot": 169,
    "request_key": 249,
    "semget": 64,
    "set_mempolicy": 238,
    "setdomainname": 171,
    "sethostname": 170,
    "setns": 308,
    "settimeofday": 164,
    "shmget": 29,
    "swapoff": 168,
    "swapon": 167,
    "sysfs": 139,
    "syslog": 103,
    "_sysctl": 156,
    "umount2": 166,
    "unshare": 272,
    "uselib": 134,
    "userfaultfd": 323,
    "ustat": 136,
    "vhangup": 153,
    "vmsplice": 278,
    "vserver": 236,
}
AARCH64 = {
    "acct": 89,
    "add_key": 217,
    "adjtimex": 171,
    "bpf": 280,
    "chroot": 51,
    "clock_adjtime": 266,
    "clock_settime": 112,
    "delete_module": 106,
    "fanotify_init": 262,
    "fanotify_mark": 263,
    "finit_module": 273,
    "fsconfig": 431,
    "fsmount": 432,
    "fsopen": 430,
    "fspick": 433,
    "init_module": 105,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "io_uring_setup": 425,
    "kcmp": 272,
    "kexec_file_load": 294,
    "kexec_load": 104,
    "keyctl": 219,
    "landlock_create_ruleset": 444,
    "lookup_dcookie": 18,
    "mbind": 235,
    "memfd_create": 279,
    "memfd_secret": 447,
    "migrate_pages": 238,
    "mount": 40,
    "mount_setattr": 442,
    "move_mount": 429,
    "move_pages": 239,
    "mq_open": 180,
    "msgget": 186,
    "name_to_handle_at": 264,
    "nfsservctl": 42,
    "open_by_handle_at": 265,
    "open_tree": 428,
    "perf_event_open": 241,
    "personality": 92,
    "pidfd_getfd": 438,
    "pivot_root": 41,
    "process_madvise": 440,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "ptrace": 117,
    "quotactl": 60,
    "quotactl_fd": 443,
    "reboot": 142,
    "request_key": 218,
    "semget": 190,
    "set_mempolicy": 237,
    "setdomainname": 162,
    "sethostname": 161,
    "setns": 268,
    "settimeofday": 170,
    "shmget": 194,
    "swapoff": 225,
    "swapon": 224,
    "syslog": 116,
    "umount2": 39,
    "unshare": 97,
    "userfaultfd": 282,
    "vhangup": 58,
    "vmsplice": 75,
}
LAST_KNOWN = 450

_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1, _ARGUMENT_2 = 0, 4, 16, 24, 32
_NEW_NAMESPACES = 0x7E020000
"""clone flags: mount, cgroup, uts, ipc, user, pid, net."""
_TERMINAL_INJECTIONS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: typing into somebody's terminal."""
_LARGER_BUFFERS = (7, 32)
"""SO_SNDBUF and SO_SNDBUFFORCE: what is counted for a socket is what it holds without them."""
_AF_UNIX, _CLONE3 = 1, 435
_ARCHITECTURES = {
    "x86_64": (0xC000003E, X86_64, {"clone": 56, "socket": 41, "ioctl": 16, "setsockopt": 54}),
    "aarch64": (0xC00000B7, AARCH64, {"clone": 220, "socket": 198, "ioctl": 29, "setsockopt": 208}),
}


class UnknownArchitecture(Exception):
    """No list of system calls for this processor."""


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)


def _deny(number: int, error: int) -> bytes:
    """If the call is this one, fail it."""
    return _step(_JUMP_EQUAL, number, 0, 1) + _step(_RETURN, _ERRNO | error)


def program(machine: str) -> bytes:
    """The filter for `platform.machine()`. Raises UnknownArchitecture."""
    if machine not in _ARCHITECTURES:
        raise UnknownArchitecture(machine)
    architecture, denied, special = _ARCHITECTURES[machine]
    parts = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, architecture, 1, 0) + _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_JUMP_ABOVE, LAST_KNOWN, 0, 1) + _step(_RETURN, _ERRNO | errno.ENOSYS),
        _deny(_CLONE3, errno.ENOSYS),
        *(_deny(number, errno.EPERM) for number in sorted(denied.values())),
        _only_if(special["clone"], _ARGUMENT_0, _step(_JUMP_BITS, _NEW_NAMESPACES, 0, 1) + _refuse(errno.EPERM)),
        _only_if(special["socket"], _ARGUMENT_0, _step(_JUMP_EQUAL, _AF_UNIX, 1, 0) + _refuse(errno.EAFNOSUPPORT)),
        *(_only_if(special["ioctl"], _ARGUMENT_1, _deny(call, errno.EPERM)) for call in _TERMINAL_INJECTIONS),
        _only_if(
            special["setsockopt"], _ARGUMENT_2, b"".join(_deny(option, errno.EPERM) for option in _LARGER_BUFFERS)
        ),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(parts)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def _only_if(number: int, argument: int, then: bytes) -> bytes:
    """For this call, load the low half of an argument and do `then`; afterwards the number is loaded again."""
    body = _step(_LOAD, argument) + then + _step(_LOAD, _NUMBER)
    return _step(_JUMP_EQUAL, number, 0, len(body) // 8) + body


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def install(libc: ctypes.CDLL) -> None:
    """Put the filter on this process and all it will start; needs no_new_privs. Raises OSError, UnknownArchitecture."""
    steps = program(platform.machine())
    filled = _Program(len(steps) // 8, steps)
    set_seccomp, filter_mode = 22, 2
    if libc.prctl(set_seccomp, filter_mode, ctypes.byref(filled), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
