"""Process 1 of a session: takes the server's requests, owns the interpreter and the files, and outlives the code.

It forks the interpreter from the untouched image it was itself forked from, so a killed interpreter is replaced in
milliseconds while the files stay. Between executions everything but this process is stopped: a session nobody talks to
uses no processor.
"""

import errno
import io
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from . import interpreter, protocol
from .execution import Execution, InterpreterHandle, MemoryReport, kill, kill_all, reap, resident
from .files import Directory, NotAFile, Snapshot
from .isolation import DATA, Limits, close_all_but, set_interpreter_limits
from .protocol import Kind

SWEEP_SECONDS = 3.0
"""How long it is waited for killed processes to be gone."""


class Session:
    """Answers one request after the other."""

    def __init__(self, host: socket.socket, limits: Limits) -> None:
        self.host, self.limits = host, limits
        self.files = Directory(DATA)
        self.interpreter = self._spawn()
        self.memory = MemoryReport(resident(self.interpreter.pid))

    def serve(self) -> None:
        """Until the server closes the socket."""
        self.host.sendall(protocol.pack(Kind.READY))
        while (frame := protocol.read(self.host)) is not None:
            kind, payload = frame
            if kind == Kind.EXECUTE:
                self._execute(payload)
            elif kind == Kind.PUT:
                self._put(str(protocol.parse_fields(payload)["path"]))
            elif kind == Kind.GET:
                self._get(str(protocol.parse_fields(payload)["path"]))

    @staticmethod
    def refuse(host: socket.socket, why: str) -> None:
        """Say no."""
        host.sendall(protocol.pack_fields(Kind.REFUSED, message=why))

    def _spawn(self) -> InterpreterHandle:
        """A fresh interpreter, waiting for code."""
        output, its_output = os.pipe()
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self.host.close()
            ours.close()
            close_all_but(theirs.fileno(), its_output)
            set_interpreter_limits(self.limits)
            interpreter.run_interpreter(theirs, its_output)
        theirs.close()
        os.close(its_output)
        os.set_blocking(output, False)
        return InterpreterHandle(pid, ours, protocol.FrameReader(ours), output)

    def _execute(self, payload: bytes) -> None:
        wall = float(protocol.parse_fields(payload)["wall"] or 0)
        code = protocol.content(self.host)
        if code is None:
            return
        before = self.files.snapshot()
        kill_all(signal.SIGCONT)
        execution = Execution(self.host, self.interpreter, self.limits, self.memory)
        outcome = execution.run(code, wall)
        if not outcome.state_kept:
            self._replace()
        elif not outcome.is_clean:
            self._sweep()
        kill_all(signal.SIGSTOP)
        reap()
        self._tell_files(before)
        self.memory.tell(self.host, 1)
        self.host.sendall(
            protocol.pack_fields(Kind.ENDED, how=outcome.how, message=outcome.message, kept=outcome.state_kept)
        )

    def _replace(self) -> None:
        kill_all(signal.SIGKILL)
        self.interpreter.close()
        reap(self.interpreter.pid)
        self.interpreter = self._spawn()

    def _sweep(self) -> None:
        """After trouble, end everything but the interpreter: leftovers of a fork bomb would keep every slot taken."""
        spared = {os.getpid(), self.interpreter.pid}
        until = time.monotonic() + SWEEP_SECONDS
        while pids := living() - spared:
            for pid in pids:
                kill(pid, signal.SIGKILL)
            reap()
            if time.monotonic() > until:
                break
            time.sleep(0.001)  # a killed process is not dead at once, and may be in the middle of a write
        self.interpreter.discard()

    def _tell_files(self, before: Snapshot) -> None:
        for path, size in self.files.changed(before):
            content = self.files.image(path, size)
            if content is None:
                self.host.sendall(protocol.pack_fields(Kind.FILE_WRITTEN, path=path, size=size))
            else:
                self.host.sendall(protocol.pack_fields(Kind.IMAGE, name=os.path.basename(path), path=path))  # noqa: PTH119
                for piece in protocol.pieces(content):
                    self.host.sendall(piece)

    def _put(self, path: str) -> None:
        """Content is read to its end even when it cannot be kept, so the wire stays in step."""
        target, problem = self._create(path)
        while (frame := protocol.read(self.host)) is not None and frame[0] == Kind.DATA:
            if target is not None and problem is None:
                problem = write_all(target, frame[1])
        if target is not None:
            target.close()
        if problem is None:
            self.host.sendall(protocol.pack(Kind.END))
            return
        if target is not None:
            self.files.remove(path)
        self.refuse(self.host, problem)

    def _create(self, path: str) -> tuple[io.FileIO | None, str | None]:
        try:
            return self.files.create(path), None
        except (OSError, NotAFile) as error:
            return None, describe_error(error)

    def _get(self, path: str) -> None:
        try:
            content = self.files.open(path)
        except (OSError, NotAFile) as error:
            self.refuse(self.host, describe_error(error))
            return
        with content:
            while piece := content.read(protocol.MAX_PAYLOAD):
                self.host.sendall(protocol.pack(Kind.DATA, piece))
        self.host.sendall(protocol.pack(Kind.END))


def living() -> set[int]:
    """Processes of the session that are not dead yet; the dead ones wait for their parent, maybe the interpreter."""
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), Path("/proc", name, "stat").open() as stat:
                if stat.read().rpartition(")")[2].split()[0] != "Z":
                    found.add(int(name))
    return found


def write_all(target: io.FileIO, content: bytes) -> str | None:
    """Write it; the reason in one line if it does not fit."""
    view = memoryview(content)
    try:
        while view:
            view = view[target.write(view) :]
    except OSError as error:
        return describe_error(error)
    return None


def describe_error(error: Exception) -> str:
    """What went wrong with a file, in words."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the session's disk is full"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
