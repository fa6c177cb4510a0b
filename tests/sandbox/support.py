"""What the sandbox tests share: where the real parts lie, and outputs gathered."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from threadmill.adapters.sandbox.backend import SessionLimits
from threadmill.adapters.sandbox.environment import installed_environment
from threadmill.adapters.sandbox.factory import SandboxSettings
from threadmill.domain.ids import ThreadId
from threadmill.engine.ports.sandbox import Ended, EndReason, FileWritten, Image, Logs, Sandbox

ROOT = Path(__file__).parents[2]
ENVIRONMENT = installed_environment()
ONE, TWO = ThreadId("thread_one"), ThreadId("thread_two")
LIMITS = SessionLimits(wall=20, memory=1 << 30, disk=64 << 20, log=10_000, grace=1)


def bwrap_settings(limits: SessionLimits = LIMITS) -> SandboxSettings:
    return SandboxSettings("bwrap", ENVIRONMENT, limits=limits)


def limits(wall: float = 20, processes: int = 64, memory: int = 1 << 30) -> SessionLimits:
    return replace(LIMITS, wall=wall, processes=processes, memory=memory)


@dataclass
class Told:
    """All outputs of one execution."""

    logs: str = ""
    images: list[Image] = field(default_factory=list[Image])
    written: list[FileWritten] = field(default_factory=list[FileWritten])
    ended: Ended = field(default_factory=lambda: Ended(EndReason.KILLED, "nothing came"))


async def told(sandbox: Sandbox, code: str, thread: ThreadId = ONE) -> Told:
    found = Told()
    async for output in sandbox.execute(thread, code):
        match output:
            case Logs():
                found.logs += output.text
            case Image():
                found.images.append(output)
            case FileWritten():
                found.written.append(output)
            case Ended():
                found.ended = output
    return found


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def fetched(sandbox: Sandbox, path: str, thread: ThreadId = ONE) -> bytes:
    return b"".join([piece async for piece in sandbox.get(thread, path)])
