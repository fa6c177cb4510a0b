"""A warm parent of readers: it has imported what they need, given up its rights, and forks a process for each file.

Started once by `reader_processes.py` as `python -I -c ...`. It never sees a byte of a file: a request on its control socket
brings two sockets, one that the reader reads the file from and answers on, and one on which it is told how the reader
ended. When the other end of that one is closed the reader is killed.
"""

import contextlib
import gc
import os
import select
import signal
import socket
from importlib import import_module
from typing import NoReturn, Protocol, cast

from threadmill.adapters.extract import process_limits
from threadmill.adapters.extract.reader_protocol import CONTROL, REFUSED, REQUEST, STARTED, STATUS

NICENESS = 4
"""Streams come before documents."""

MAX_DESCRIPTORS = 1 << 20


class Worker(Protocol):
    """What readers do: `utf8_worker.py` or `extract_worker.py`, which is five times as large."""

    def preload(self) -> None:
        """Import all that readers need: behind the fence no file can be opened."""
        ...

    def answer(self, extension: str, memory_bytes: int, cpu_seconds: int, max_characters: int) -> None:
        """Go behind the fence, read the file, answer, end the process."""
        ...


def main(worker_name: str) -> None:
    """Serve until the other end of the control socket is closed."""
    os.closerange(CONTROL + 1, MAX_DESCRIPTORS)
    worker = cast("Worker", import_module(f"threadmill.adapters.extract.{worker_name}"))
    worker.preload()
    os.nice(NICENESS)
    server = _ForkServer(worker, socket.socket(fileno=CONTROL), *socket.socketpair())
    process_limits.restrict_parent()
    # What lives now lives on; collecting it in each child would copy every page.
    gc.collect()
    gc.freeze()
    server.serve()


class _ForkServer:
    def __init__(self, worker: Worker, control: socket.socket, woken: socket.socket, wake: socket.socket) -> None:
        self._worker: Worker = worker
        self._control: socket.socket = control
        self._woken: socket.socket = woken
        self._wake: socket.socket = wake
        woken.setblocking(False)
        wake.setblocking(False)
        self._readers: dict[int, int] = {}
        """The descriptor of the status socket of each living reader."""
        self._pids: dict[int, int] = {}
        """The readers by those descriptors."""
        self._poll: select.poll = select.poll()

    def serve(self) -> None:
        signal.signal(signal.SIGCHLD, _on_child)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        while True:
            # Now and then without being woken: news of an end may be lost.
            for descriptor, _ in self._poll.poll(1_000):
                if descriptor == self._control.fileno():
                    if not self._take_request():
                        return
                elif descriptor == self._woken.fileno():
                    self._woken.recv(4_096)
                elif (pid := self._pids.get(descriptor)) is not None:
                    os.kill(pid, signal.SIGKILL)
                    self._poll.unregister(descriptor)
            self._reap()

    def _take_request(self) -> bool:
        """Fork a reader, or say that there is none; False at the end of all requests."""
        message, descriptors, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
        if not message:
            return False
        extension, *limits = REQUEST.unpack(message)
        data, status = descriptors
        try:
            pid = os.fork()
        except OSError:  # too many processes, or too little memory: that ends neither this one nor the other readers
            with contextlib.suppress(OSError):
                os.write(status, REFUSED)
            os.close(data)
            os.close(status)
            return True
        if pid == 0:
            _be_reader(self._worker, data, extension.rstrip(b"\0").decode(), limits)
        os.close(data)
        with contextlib.suppress(OSError):  # whoever asked is gone again
            os.write(status, STARTED)
        self._readers[pid] = status
        self._pids[status] = pid
        self._poll.register(status, 0)  # only that its other end was closed
        return True

    def _reap(self) -> None:
        while self._readers:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            status = self._readers.pop(pid)
            del self._pids[status]
            with contextlib.suppress(KeyError):  # it was killed
                self._poll.unregister(status)
            with contextlib.suppress(OSError):  # nobody waits for it any more
                os.write(status, STATUS.pack(os.waitstatus_to_exitcode(ended)))
            os.close(status)


def _on_child(number: int, frame: object) -> None:
    """The wake-up has said it; without a handler there would be none."""


def _be_reader(worker: Worker, data: int, extension: str, limits: list[int]) -> NoReturn:
    """In the child: nothing is open but the file's socket, then the fence. Does not return."""
    try:
        signal.set_wakeup_fd(-1)
        os.dup2(data, 0)
        os.closerange(CONTROL, MAX_DESCRIPTORS)
        worker.answer(extension, *limits)
    finally:
        os._exit(70)
