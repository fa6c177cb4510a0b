"""The server's end of the zygote: starts it, asks it for sessions, hears of their ends."""

import asyncio
import json
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from threadmill.adapters.sandbox.backend import SessionLimits
from threadmill.adapters.sandbox.bwrap.command import SandboxPaths, bwrap_command
from threadmill.engine.ports.sandbox import SandboxUnavailable

SANDBOX_USER = 64_321
"""Who the sandbox is on this machine when the server is root: nobody's account, within what containers map."""

_LAUNCH = Path(__file__).with_name("launch.py")
_START_SECONDS = 30.0
_KILL_SECONDS = 10.0
"""How long a session that is killed may take to be gone. The kernel needs milliseconds; who stays longer has taken the
zygote's news away, and a zygote that is not to be trusted is replaced."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A session's number and our end of its socket."""

    number: int
    connection: socket.socket


@dataclass(slots=True)
class ZygoteClient:
    """A running zygote. Once `is_dead`, it and all its sessions are dead and a new one must be made."""

    process: asyncio.subprocess.Process
    control: socket.socket
    reading: asyncio.Task[None] | None = None
    ready: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    answers: dict[int, asyncio.Future[None]] = field(default_factory=dict[int, asyncio.Future[None]])
    sessions: dict[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])
    last: int = 0
    kill_seconds: float = _KILL_SECONDS

    @property
    def is_dead(self) -> bool:
        """Whether it is of no more use."""
        return self.reading is None or self.reading.done()

    @classmethod
    async def start(cls, bwrap: str, paths: SandboxPaths) -> "ZygoteClient":
        """Start it and wait until it can fork. Raises SandboxUnavailable with bubblewrap's own words."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with theirs:
                process = await _launch(bwrap, paths, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        zygote = cls(process, ours)
        zygote.reading = asyncio.create_task(zygote._listen())
        try:
            await asyncio.wait_for(zygote.ready, _START_SECONDS)
        except BaseException as error:
            words = await zygote.close()
            if not isinstance(error, TimeoutError | ConnectionError):
                raise
            raise SandboxUnavailable(f"The sandbox does not start: {words}") from None
        return zygote

    async def spawn(self, limits: SessionLimits) -> Spawned:
        """Fork a session. Raises SandboxUnavailable."""
        self.last = number = self.last + 1
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        self.sessions[number] = asyncio.Event()
        try:
            with theirs:
                socket.send_fds(self.control, [json.dumps(_start_order(number, limits)).encode()], [theirs.fileno()])
            await answer
        except BaseException as error:
            ours.close()
            self.sessions.pop(number, None)
            if isinstance(error, OSError):
                raise SandboxUnavailable(f"The sandbox's process is gone: {error}") from None
            raise
        finally:
            self.answers.pop(number, None)
        return Spawned(number, ours)

    async def kill(self, number: int) -> None:
        """Kill a session; returns when the kernel has ended its last process."""
        over = self.sessions.get(number)
        if over is None or self.is_dead:
            return
        try:
            self.control.send(json.dumps({"kill": number}).encode())
        except OSError:
            return
        try:
            await asyncio.wait_for(over.wait(), self.kill_seconds)
        except TimeoutError:
            await self.close()

    async def close(self) -> str:
        """End it and everything in it; gives the last line it said, or its exit code."""
        if self.process.returncode is None:
            self.process.kill()
        assert self.process.stderr is not None
        said = await self.process.stderr.read()  # it ends when the last process of it is gone
        await self.process.wait()
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.process.returncode}"

    async def _listen(self) -> None:
        """Until it is gone; then everybody who waits is told."""
        loop = asyncio.get_running_loop()
        try:
            while raw := await loop.sock_recv(self.control, 4096):
                self._on_message(json.loads(raw))
        except (OSError, ValueError):
            pass
        finally:
            self.control.close()
            lost = ConnectionError("it ended")
            for waiting in (self.ready, *self.answers.values()):
                if not waiting.done():
                    waiting.set_exception(lost)
            for over in self.sessions.values():
                over.set()

    def _on_message(self, said: dict[str, int | str | bool]) -> None:
        if "ready" in said and not self.ready.done():
            self.ready.set_result(None)
        elif "ended" in said and (over := self.sessions.pop(int(said["ended"]), None)):
            over.set()
        elif "started" in said and (answer := self.answers.get(int(said["started"]))) and not answer.done():
            answer.set_result(None)
        elif "failed" in said and (answer := self.answers.get(int(said["failed"]))) and not answer.done():
            answer.set_exception(SandboxUnavailable(f"A session could not be started: {said.get('why', 'no reason')}"))


def _start_order(number: int, limits: SessionLimits) -> dict[str, int | dict[str, int | float]]:
    names = ("memory", "processes", "disk", "files", "log", "grace")
    return {"start": number, "limits": {name: getattr(limits, name) for name in names}}


async def _launch(bwrap: str, paths: SandboxPaths, control: int) -> asyncio.subprocess.Process:
    """Bubblewrap's own process must not have our environment: the code inside can read it (tools.md, hole 1)."""
    order = {
        "user": SANDBOX_USER if os.getuid() == 0 else None,
        "paths": {"environment": str(paths.environment.resolve()), "inside": str(paths.inside)},
        "command": bwrap_command(bwrap, control),
        "control": control,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCH),
        json.dumps(order),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={},
        pass_fds=(control,),
        cwd="/",
        start_new_session=True,
    )
