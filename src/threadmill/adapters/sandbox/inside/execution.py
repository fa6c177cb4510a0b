"""One execution, watched: what is printed goes out in order and bounded, and the code ends when its time or memory does."""

import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import protocol
from .isolation import DATA, Limits
from .protocol import Kind

POLL_SECONDS = 0.1
MAX_IMAGE_BYTES = 21_000_000
MAX_IMAGE_FRAMES = 32
"""More than a picture of that size has; frames without content would else keep this process from its watch."""

PAGE = os.sysconf("SC_PAGE_SIZE")
_WORTH_TELLING, _WORTH_COUNTING = 16 << 20, 32 << 20
SOCKET_BYTES = 2 * 212_992
"""What Linux lets a socket hold, and a reserve. Machines whose `net.core.wmem_max` is higher give more to who asks for it:
nobody inside may (seccomp.py)."""


@dataclass(frozen=True, slots=True)
class InterpreterHandle:
    """The process that runs the model's code: orders and answers on `channel`, what it prints on `output`.

    Whatever comes from it may be forged and cut off anywhere: nothing here waits for it.
    """

    pid: int
    channel: socket.socket
    frames: protocol.FrameReader
    output: int

    def discard(self) -> None:
        """Throw away what lies in the pipe: the last words of processes that were ended are nobody's answer."""
        with suppress(BlockingIOError):
            for _ in range(32):
                os.read(self.output, 1 << 16)

    def close(self) -> None:
        """Close our ends."""
        self.channel.close()
        os.close(self.output)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. `is_clean`: nothing happened that leaves stray processes behind."""

    how: str
    message: str | None = None
    state_kept: bool = True

    @property
    def is_clean(self) -> bool:
        """Whether the session needs no cleaning."""
        return self.how in {"completed", "exception"}


class OutputBuffer:
    """What was printed: the first half of the allowance goes out at once, then only the last half is kept."""

    def __init__(self, host: socket.socket, most: int) -> None:
        self.host = host
        self.room = most // 2
        self.tail_room = most - self.room
        self.tail: deque[bytes] = deque()
        self.held = 0
        self.dropped = 0

    def add(self, text: bytes) -> None:
        """More output."""
        if self.room:
            now, text = text[: self.room], text[self.room :]
            self.room -= len(now)
            self.host.sendall(protocol.pack(Kind.LOG, now))
        if text:
            self._hold(text)

    def _hold(self, text: bytes) -> None:
        self.tail.append(text)
        self.held += len(text)
        while self.held - len(self.tail[0]) >= self.tail_room:
            gone = len(self.tail.popleft())
            self.held -= gone
            self.dropped += gone

    def end(self) -> None:
        """Send what was held back, with the size of the gap before it."""
        kept = b"".join(self.tail)
        cut = max(0, len(kept) - self.tail_room)
        if self.dropped + cut:
            self.host.sendall(protocol.pack_fields(Kind.OUTPUT_TRUNCATED, size=self.dropped + cut))
        if kept:
            self.host.sendall(protocol.pack(Kind.LOG, kept[cut:]))


class Execution:
    """From the order to the outcome."""

    def __init__(
        self, host: socket.socket, interpreter: InterpreterHandle, limits: Limits, memory: "MemoryReport"
    ) -> None:
        self.host, self.interpreter, self.limits, self.memory = host, interpreter, limits, memory
        self.log = OutputBuffer(host, limits.log)
        self.outcome: Outcome | None = None
        self.stopping: Outcome | None = None
        self.wall = self.deadline = 0.0
        self.picture: list[bytes] = []
        self.unsent = memoryview(b"")
        # A cell that forged its end may still run: what it says when it really ends is not the next cell's answer.
        self.token = os.urandom(8).hex()

    def run(self, code: bytes, wall: float) -> Outcome:
        """Until the interpreter is done, dead or out of time."""
        self.wall, self.deadline = wall, time.monotonic() + wall
        order = protocol.pack_fields(Kind.EXECUTE, token=self.token)
        self.unsent = memoryview(b"".join([order, *protocol.pieces(code)]))
        with selectors.DefaultSelector() as selector:
            selector.register(self.host, selectors.EVENT_READ, self._from_host)
            self._watch_channel(selector.register)
            selector.register(self.interpreter.output, selectors.EVENT_READ, self._from_output)
            next_look = time.monotonic() + POLL_SECONDS
            while self.outcome is None:
                sending = bool(self.unsent)
                for key, _ in selector.select(max(0.0, next_look - time.monotonic())):
                    key.data()
                if sending and not self.unsent:
                    self._watch_channel(selector.modify)
                if time.monotonic() >= next_look:
                    self._check_limits()
                    next_look = time.monotonic() + POLL_SECONDS
        if self.unsent and self.outcome.state_kept:  # it stopped reading in the middle: its channel is out of step
            self._kill(self.outcome)
        self._drain()
        self.log.end()
        return self.outcome

    def _watch_channel(self, add: Callable[[socket.socket, int, Callable[[], None]], object]) -> None:
        """Both ways while there is code to send, then for what comes."""
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        add(self.interpreter.channel, both if self.unsent else selectors.EVENT_READ, self._on_channel)

    def _on_channel(self) -> None:
        if self.unsent:
            self._send_code()
        self._from_interpreter()

    def _send_code(self) -> None:
        """As much as it takes now: an interpreter that does not read runs into its time like any other."""
        try:
            sent = self.interpreter.channel.send(self.unsent, socket.MSG_DONTWAIT)
            self.unsent = self.unsent[sent:]
        except BlockingIOError:
            return
        except OSError:
            self._on_death()

    def _from_host(self) -> None:
        frame = protocol.read(self.host)
        if frame is None:
            os._exit(0)
        if frame[0] == Kind.INTERRUPT:
            self._stop(Outcome("interrupted", "The code was interrupted."))

    def _from_output(self) -> None:
        try:
            text = os.read(self.interpreter.output, 1 << 16)
        except BlockingIOError:
            return
        if text:
            self.log.add(text)

    def _drain(self) -> None:
        """All that is in the pipe now; background processes may go on writing, so at most what a pipe holds."""
        for _ in range(32):
            try:
                text = os.read(self.interpreter.output, 1 << 16)
            except BlockingIOError:
                return
            if not text:
                return
            self.log.add(text)

    def _from_interpreter(self) -> None:
        try:
            frames = self.interpreter.frames.receive()
            if frames is None:
                self._on_death()
            for kind, payload in frames or ():
                if self.outcome is None:
                    self._on_frame(kind, payload)
        except (OSError, protocol.BrokenFrame, KeyError):
            self._on_death()

    def _on_frame(self, kind: Kind, payload: bytes) -> None:
        if kind == Kind.DONE:
            fields = protocol.parse_fields(payload)
            if fields["token"] != self.token:
                return
            said = Outcome(str(fields["how"]), None if fields["message"] is None else str(fields["message"]))
            explained = Outcome(said.how, self._explain(said))
            self.outcome = self.stopping if self.stopping and said.how != "completed" else explained
        elif kind in {Kind.IMAGE, Kind.DATA, Kind.END}:
            self._picture(kind, payload)

    def _picture(self, kind: Kind, payload: bytes) -> None:
        """A picture is told at once when it is whole: output that comes meanwhile may not stand in the middle of it."""
        if kind == Kind.IMAGE:
            self.picture.clear()
        self.picture.append(protocol.pack(kind, payload))
        if len(self.picture) > MAX_IMAGE_FRAMES or sum(map(len, self.picture)) > MAX_IMAGE_BYTES:
            self._kill(Outcome("killed", "A picture was too large."))
        elif kind == Kind.END:
            self._drain()
            self.host.sendall(b"".join(self.picture))
            self.picture.clear()
            with suppress(OSError):  # that it is gone shows in what it says next
                self.interpreter.channel.send(protocol.pack(Kind.IMAGE_ACK), socket.MSG_DONTWAIT)

    def _explain(self, said: Outcome) -> str | None:
        """One clear line for limits the code ran into by itself."""
        most = {
            "out_of_memory": f"The code needed more than the {self.limits.memory >> 20} MB of memory it may use",
            "too_many_processes": f"The code needed more than the {self.limits.processes} processes it may start",
            "disk_full": f"The code wrote more than the {self.limits.disk >> 20} MB of disk it may use",
        }
        return f"{most[said.how]} ({said.message})." if said.how in most else said.message

    def _on_death(self) -> None:
        """The interpreter is gone. Whoever ended it is named."""
        gone = self.stopping or Outcome("killed", self._cause())
        self.outcome = Outcome(gone.how, f"{gone.message} All variables are lost.", state_kept=False)

    def _cause(self) -> str:
        kill_all(signal.SIGKILL)
        status = os.waitstatus_to_exitcode(reap(self.interpreter.pid))
        if status < 0:
            return f"The Python process was ended by signal {-status} ({signal.strsignal(-status)})."
        return f"The Python process ended itself with exit code {status}."

    def _stop(self, why: Outcome) -> None:
        """Ask once, then insist: `_check_limits` kills what does not listen."""
        if self.stopping is None:
            self.stopping = why
            self.deadline = time.monotonic() + self.limits.grace
            kill(self.interpreter.pid, signal.SIGINT)

    def _check_limits(self) -> None:
        """Every tick: time and memory."""
        if time.monotonic() >= self.deadline:
            if self.stopping is None:
                seconds = f"{self.wall:g} seconds"
                self._stop(Outcome("timed_out", f"The code ran longer than {seconds} and was stopped."))
            else:
                self._kill(self.stopping)
        elif memory_in_use(self.limits.memory) > self.limits.memory:
            most = self.limits.memory >> 20
            self._kill(Outcome("out_of_memory", f"The code used more than {most} MB of memory and was stopped."))
        else:
            self.memory.tell(self.host, _WORTH_TELLING)

    def _kill(self, why: Outcome) -> None:
        self.stopping = why
        self._on_death()


def kill(pid: int, number: signal.Signals) -> None:
    """Signal one process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def kill_all(number: signal.Signals) -> None:
    """Signal every process of the session but this one: for process 1 of a namespace, -1 means that."""
    kill(-1, number)


def reap(pid: int = 0) -> int:
    """Collect the dead; with a pid, wait for that one and give its status."""
    while True:
        try:
            found, status = os.waitpid(pid or -1, 0 if pid else os.WNOHANG)
        except ChildProcessError:
            return 0
        if pid or found == 0:
            return status


class MemoryReport:
    """What the server was told last of the session's memory; `shared` is what a fresh interpreter has in common with all."""

    def __init__(self, shared: int) -> None:
        self.shared, self.told = shared, 0

    def tell(self, host: socket.socket, step: int) -> None:
        """Tell what is in use now, if it differs by `step` bytes from what was told."""
        enough = self.shared + _WORTH_COUNTING
        found = memory_in_use(enough)
        disk = os.statvfs(DATA)
        used = (max(0, found - self.shared) if found <= enough else found) + (
            disk.f_blocks - disk.f_bfree
        ) * disk.f_frsize
        if abs(used - self.told) >= step:
            self.told = used
            host.sendall(protocol.pack_fields(Kind.MEMORY_USED, size=used))


def memory_in_use(enough: int) -> int:
    """Bytes of all processes of the session. Shared pages are counted once, but only if that could matter."""
    pids = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    sockets = _socket_memory()
    total = sockets + sum(resident(pid) for pid in pids)
    return total if total <= enough else sockets + sum(_proportional(pid) for pid in pids)


def _socket_memory() -> int:
    """What the session's sockets may hold unread, which is no process's memory: each counts with all it can buffer."""
    try:
        with Path("/proc/self/net/unix").open("rb") as sockets:
            return max(0, sum(1 for _ in sockets) - 1) * SOCKET_BYTES
    except OSError:
        return 0


def resident(pid: int | str) -> int:
    """Bytes of one process that are in memory, shared ones too."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: str) -> int:
    """A process that hides from us counts in full."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return resident(pid)
