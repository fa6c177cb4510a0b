"""Start-up's question: does one attempt of the escape table succeed here? Then the tool is not offered."""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from threadmill.adapters.sandbox.backend import LiveSession, SessionLimits
from threadmill.adapters.sandbox.bwrap.backend import BwrapBackend
from threadmill.engine.ports.sandbox import Ended, EndReason, Logs, SandboxUnavailable

_CODE = "from inside import escape_tests as _e\nprint(_e.run_escape_tests({port}, {abstract!r}, {path!r}, {hidden!r}, {processes}))"


PATIENCE = 60.0
"""Seconds the table may take."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What came of it: how many attempts were made, and which succeeded."""

    attempts: int
    succeeded: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """One line naming the holes, or None."""
        if not self.succeeded:
            return None
        return f"The sandbox does not hold on this machine: it was possible to {'; '.join(self.succeeded)}."


@dataclass(frozen=True, slots=True)
class Canaries:
    """Things on this machine that must not be reachable."""

    port: int
    abstract: str
    path: str


@contextmanager
def canary_listeners() -> Iterator[Canaries]:
    """Listeners on the loopback address, in the abstract name space and at a path; nobody answers them."""
    with tempfile.TemporaryDirectory() as directory, socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        path, name = str(Path(directory, "socket")), f"threadmill-{os.getpid()}-{os.urandom(8).hex()}"
        tcp.bind(("127.0.0.1", 0))
        abstract.bind("\0" + name)
        with socket.socket(socket.AF_UNIX) as file:
            file.bind(path)
            for listener in (tcp, abstract, file):
                listener.listen()
            yield Canaries(tcp.getsockname()[1], name, path)


async def self_test(backend: BwrapBackend, limits: SessionLimits, hidden: Sequence[Path] = ()) -> SelfTest:
    """Run the table in a session of its own; `hidden` are paths of the server's it must not see. Raises SandboxUnavailable."""
    zygote = await backend.zygote()
    # How long a call may take says nothing of how long a busy machine takes for the table.
    session = await backend.open_with(replace(limits, wall=max(limits.wall, PATIENCE)))
    try:
        with canary_listeners() as canaries:
            secret = tuple(str(path.resolve()) for path in hidden)
            found = await _table(session, canaries, secret, limits.processes)
    finally:
        await session.close()
    outside = await asyncio.to_thread(_seen_from_outside, zygote.process.pid)
    return SelfTest(found.attempts + 2, (*found.succeeded, *outside))


async def _table(session: LiveSession, canaries: Canaries, hidden: tuple[str, ...], processes: int) -> SelfTest:
    code = _CODE.format(
        port=canaries.port, abstract=canaries.abstract, path=canaries.path, hidden=hidden, processes=processes
    )
    text, how = "", Ended(EndReason.KILLED)
    async for output in session.execute(code):
        if isinstance(output, Logs):
            text += output.text
        elif isinstance(output, Ended):
            how = output
    try:
        found: dict[str, object] = json.loads(text)
        succeeded, attempts = found["succeeded"], found["attempts"]
        assert isinstance(succeeded, list)
        assert isinstance(attempts, int)
    except (ValueError, KeyError, TypeError):
        raise SandboxUnavailable(f"The sandbox's self-test did not end: {how.message or text[-300:]}") from None
    return SelfTest(attempts, tuple(str(name) for name in succeeded))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _seen_from_outside(pid: int) -> Iterator[str] | tuple[str, ...]:
    """What only we can see: who it is on this machine, and what environment its outermost process has."""
    found: list[str] = []
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    if "0" in next(line.split()[1:] for line in status if line.startswith("Uid:")):
        found.append("be root on this machine")
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        environment = b""
    if any(not entry.startswith((b"PATH=", b"PWD=", b"LC_CTYPE=")) for entry in filter(None, environment.split(b"\0"))):
        found.append("read the environment of bubblewrap's own process")
    return tuple(found)
