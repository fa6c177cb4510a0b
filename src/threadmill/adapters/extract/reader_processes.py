"""The server's end of the readers: starts their parent, asks it for a reader, and knows how that ended."""

import asyncio
import os
import socket
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass

from threadmill.adapters.extract.reader_protocol import CONTROL, REFUSED, REQUEST, STARTED, STATUS

UTF_8, ALL_KINDS = "utf8_worker", "extract_worker"
"""What a parent's readers can read."""

_PROGRAM = "from threadmill.adapters.extract.fork_server import main; main({!r})"


@dataclass(frozen=True, slots=True)
class Reader:
    """A process that reads one file. `data` brings it the file and its answer back; closing kills it."""

    data: socket.socket
    status: socket.socket

    async def has_started(self) -> bool:
        """It is there; False: there is no parent that could have started it. Raises BlockingIOError: not now."""
        told = await asyncio.get_running_loop().sock_recv(self.status, len(STARTED))
        if told == REFUSED:
            raise BlockingIOError("the system has no room for another process")
        return told == STARTED

    async def exit_code(self) -> int | None:
        """How it ended; below 0 the signal. None: its parent is gone too."""
        told = await asyncio.get_running_loop().sock_recv(self.status, STATUS.size)
        return STATUS.unpack(told)[0] if len(told) == STATUS.size else None

    def close(self) -> None:
        """Let go of it, whatever it is doing."""
        self.data.close()
        self.status.close()


class ReaderProcesses:
    """Starts readers. Their parent is started with the first of them, and anew when it is gone."""

    def __init__(self, worker: str = ALL_KINDS) -> None:
        self._worker: str = worker
        self._starting: asyncio.Lock = asyncio.Lock()
        self._parent: _Parent | None = None

    async def start(self, extension: str, limits: tuple[int, int, int]) -> Reader:
        """A reader for a file of that extension, with its bytes of memory, seconds and characters. Raises OSError."""
        request = REQUEST.pack(extension.encode()[:16], *limits)
        for _ in range(2):
            parent = await self._living_parent()
            if (reader := await parent.fork(request)) is not None:
                return reader
            await self._replace(parent)
        raise OSError("The parent of readers ends as soon as it is started")

    async def _living_parent(self) -> "_Parent":
        async with self._starting:
            if self._parent is None:
                # In a thread: until the new process runs, whoever started it stands still.
                self._parent = await asyncio.to_thread(_Parent, self._worker)
            return self._parent

    async def _replace(self, gone: "_Parent") -> None:
        async with self._starting:
            if self._parent is gone:
                await self._end()

    async def aclose(self) -> None:
        """End them all."""
        async with self._starting:
            await self._end()

    async def _end(self) -> None:
        parent, self._parent = self._parent, None
        if parent is not None:
            parent.control.close()
            await asyncio.to_thread(parent.wait)


class _Parent:
    """The process of `fork_server.py`."""

    def __init__(self, worker: str) -> None:
        """Start it, with an empty environment: no secret of the server's is to be found there. Raises OSError."""
        self.control, theirs = socket.socketpair()
        weakref.finalize(self, self.control.close)
        command = [sys.executable, "-I", "-c", _PROGRAM.format(worker)]
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        with theirs:
            # Not fork: the address space of a large server takes long to copy.
            actions = [*nothing, (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL)]
            self._pid: int = os.posix_spawn(sys.executable, command, {}, file_actions=actions)

    async def fork(self, request: bytes) -> Reader | None:
        """Ask for a reader; None where the parent is gone. Raises BlockingIOError: no process can be started now."""
        ours, data = socket.socketpair()
        status, told = socket.socketpair()
        ours.setblocking(False)
        status.setblocking(False)
        reader = Reader(ours, status)
        try:
            with data, told:
                socket.send_fds(self.control, [request], [data.fileno(), told.fileno()])
            if await reader.has_started():
                return reader
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody reads at the other end
        except BaseException:
            reader.close()
            raise
        reader.close()
        return None

    def wait(self) -> None:
        """Until it has ended."""
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
