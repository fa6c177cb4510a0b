"""The Sandbox port in the test's hands: what code gives is what the test lined up."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from threadmill.domain.ids import RunId, ThreadId
from threadmill.engine.ports.sandbox import (
    DATA_DIR,
    Ended,
    EndReason,
    FileRefused,
    Output,
    SandboxUnavailable,
    SessionLossReason,
    Started,
)


class StageSandbox:
    """Sessions that remember which files they hold. `acts` are the outputs of the next executions; none: completed.

    An `endless` one sets `hanging` behind its outputs, and never ends.
    """

    def __init__(self) -> None:
        self.unavailable_reason: str | None = None
        self.acts: list[Sequence[Output]] = []
        self.ran: list[str] = []
        self.files: dict[ThreadId, dict[str, bytes]] = defaultdict(dict)
        self.links: dict[str, str] = {}
        self.kept: dict[ThreadId, RunId] = {}
        self.released: list[tuple[RunId, float]] = []
        self.interrupted = False
        self.endless = False
        self.hanging = asyncio.Event()
        self._told: set[ThreadId] = set()
        self._held: dict[ThreadId, set[str]] = defaultdict(set)
        self._lost: SessionLossReason | None = None

    def lose(self, thread: ThreadId, why: SessionLossReason | None) -> None:
        """The thread's session is gone; None: with the process that knew of it."""
        self._told.discard(thread)
        self._held.pop(thread, None)
        self.files.pop(thread, None)
        self._lost = why

    def lose_variables(self, thread: ThreadId) -> None:
        """The interpreter was ended when nobody listened; the session lives on."""
        assert thread in self._told
        self._lost = SessionLossReason.KILLED

    async def start(self, thread: ThreadId, run: RunId | None = None) -> Started:
        if run is not None:
            self.kept[thread] = run
        if self.unavailable_reason is not None:
            raise SandboxUnavailable(self.unavailable_reason)
        fresh, lost = thread not in self._told, self._lost
        self._told.add(thread)
        self._lost = None
        return Started(fresh, lost, frozenset(self._held[thread]))

    async def execute(self, thread: ThreadId, code: str) -> AsyncGenerator[Output, None]:
        if code.startswith("(lambda os"):
            self._arrange(thread, code)
            yield Ended(EndReason.COMPLETED)
            return
        self.ran.append(code)
        finished = False
        try:
            for output in self.acts.pop(0) if self.acts else (Ended(EndReason.COMPLETED),):
                yield output
            if self.endless:
                self.hanging.set()
                await asyncio.Event().wait()
            finished = True
        finally:
            self.interrupted = not finished

    def _arrange(self, thread: ThreadId, code: str) -> None:
        """The engine's own code: it links a name to a path, or takes a path away."""
        told = re.findall(r"'([^']*)'", code.rsplit("(__import__('os'),", 1)[1])
        path, *name = (literal.removeprefix(f"{DATA_DIR}/") for literal in told)
        if name:
            self.links[name[0]] = path
            return
        self.files[thread].pop(path, None)
        self.links = {link: target for link, target in self.links.items() if target != path}

    async def put(self, thread: ThreadId, path: str, content: AsyncIterator[bytes]) -> None:
        if path.startswith("refused"):
            raise FileRefused("The disk is full.")
        self.files[thread][path] = b"".join([piece async for piece in content])
        self._held[thread].add(path)

    async def get(self, thread: ThreadId, path: str) -> AsyncGenerator[bytes, None]:
        content = self.files[thread].get(path)
        if content is None:
            raise FileRefused(f"There is no file {path}.")
        yield content

    def release(self, thread: ThreadId, run: RunId, seconds: float = 0) -> None:
        if self.kept.get(thread) == run:
            self.released.append((run, seconds))

    async def close(self, thread: ThreadId | None = None) -> None:
        if thread is not None:
            self.lose(thread, None)
