"""Process 1 of the bubblewrap: loads the big libraries once, then forks one session per request. Runs no model code.

Requests come as one datagram each over the inherited control socket, a session's own socket with it. Answers name the
session by the server's number for it. When the server goes, the socket ends, this ends, and the kernel ends the rest.
"""

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from .isolation import Limits, close_all_but, fork_into_namespaces, isolate_session
from .session_init import Session

PRELOAD = ("numpy", "pandas", "matplotlib.pyplot", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin")
PRELOAD_IDLE = ("IPython.core.inputtransformer2", "openpyxl", "scipy.stats", "scipy.optimize", "sympy")
"""Loaded when nobody asks for a session: a fork is then already warm for them too."""

SELF_CHECK_SECONDS = 5.0
"""How often children's ends are looked for without having been woken."""


class ForkServer:
    """The fork server."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.numbers: dict[int, int] = {}
        self.unloaded = list(PRELOAD_IDLE)

    def serve(self) -> None:
        """Answer until the server is gone."""
        wake_out, wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, on_sigchld)
        self._send(ready=True)
        while True:
            wait = 0.2 if self.unloaded else SELF_CHECK_SECONDS
            readable, _, _ = select.select([self.control, wake_out], [], [], wait)
            if wake_out in readable:
                with suppress(BlockingIOError):  # a wake-up without news
                    os.read(wake_out, 4096)
            if wake_out in readable or not readable:
                self._reap()
            if self.control in readable and not self._answer():
                return
            if not readable and self.unloaded:
                self._warm()

    def _warm(self) -> None:
        """One more library, while there is nothing to do."""
        load((self.unloaded.pop(0),))
        gc.freeze()

    def _answer(self) -> bool:
        """Take one request; False at the end."""
        raw, handles, _, _ = socket.recv_fds(self.control, 4096, 1)
        if not raw:
            return False
        order = json.loads(raw)
        if "kill" in order:
            self._kill(order["kill"])
        else:
            self._start(order["start"], Limits(**order["limits"]), handles[0])
        return True

    def _send(self, **fields: str | int | bool) -> None:
        self.control.send(json.dumps(fields).encode())

    def _kill(self, number: int) -> None:
        """Killing process 1 of its namespace ends a session with all it ever started."""
        for pid, known in self.numbers.items():
            if known == number:
                os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Sessions that ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.numbers:
                self._send(ended=self.numbers.pop(pid), status=os.waitstatus_to_exitcode(status))

    def _start(self, number: int, limits: Limits, handle: int) -> None:
        """Fork a session."""
        user, group = os.getuid(), os.getgid()
        try:
            pid = fork_into_namespaces()
        except OSError as error:  # the machine has no room for one more: that is no reason to end the others
            os.close(handle)
            self._send(failed=number, why=str(error))
            return
        if pid == 0:
            run_session(handle, limits, user, group)
        os.close(handle)
        self.numbers[pid] = number
        self._send(started=number)


def on_sigchld(number: int, frame: FrameType | None) -> None:
    """A child ended; the wake-up pipe tells the loop."""
    del number, frame


def run_session(handle: int, limits: Limits, user: int, group: int) -> None:
    """Process 1 of a session. Never returns; problems show on the socket."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    close_all_but(handle)
    connection = socket.socket(fileno=handle)
    try:
        isolate_session(limits, user, group)
        Session(connection, limits).serve()
    except BaseException as error:  # noqa: BLE001 - as above
        Session.refuse(connection, f"{type(error).__name__}: {error}")
    os._exit(0)


def load(names: tuple[str, ...]) -> None:
    """Import what is installed; what is not, the model's code will be told when it asks."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def main() -> None:
    """Run by `python -c`; its argument is the control socket's descriptor."""
    gc.disable()
    # The lowest number there is: `select` knows none beyond 1,023, and a server with many streams has such.
    control = os.dup(int(sys.argv[-1]))
    close_all_but(control)
    if Path("/opt/python/matplotlib").is_dir():
        shutil.copytree("/opt/python/matplotlib", "/tmp/matplotlib")  # noqa: S108 - inside
    load(PRELOAD)
    gc.freeze()
    ForkServer(socket.socket(fileno=control)).serve()
