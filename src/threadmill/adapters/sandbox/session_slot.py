"""A thread's place in the pool, and the bounds of all places."""

import asyncio
import math
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from threadmill.adapters.sandbox.backend import LiveSession
from threadmill.adapters.sandbox.output_gate import OutputBudget
from threadmill.domain.ids import RunId
from threadmill.engine.ports.sandbox import Ended, SessionLossReason


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Seconds a session may be idle and live in all; how many live at once, and the bytes of memory all may use together.

    `call_output` and `session_output`: bytes of files and pictures that may come out of one call, and of a session.
    """

    idle: float = 20 * 60
    age: float = 60 * 60
    max_sessions: int = 64
    call_output: int = 256 << 20
    session_output: int = 1 << 30
    memory: int = sys.maxsize


@dataclass(slots=True)
class SessionSlot:
    """A thread's slot: its session, if it has one, and why it lost the last.

    `users` hold or await the lock; `running` is the execution that holds it, which ends with `verdict` if there is one.
    `put_paths` are the paths put into the session, which `is_new` until a `start` has told of it. `loss_untold`: its
    variables were lost and nobody has heard of it yet. Nobody takes the session from the run `keeper` before `kept_until`.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: LiveSession | None = None
    created_at: float = 0.0
    used: float = 0.0
    users: int = 0
    running: asyncio.Task[None] | None = None
    verdict: Ended | None = None
    lost: SessionLossReason | None = None
    put_paths: set[str] = field(default_factory=set[str])
    is_new: bool = False
    loss_untold: bool = False
    budget: OutputBudget = field(default_factory=lambda: OutputBudget(0, 0))
    memory: int = 0
    keeper: RunId | None = None
    kept_until: float = -math.inf

    def opened(self, session: LiveSession, at: float, budget: OutputBudget) -> None:
        """It has a session, of which no `start` has told yet."""
        self.session, self.budget = session, budget
        self.created_at = self.used = at
        self.is_new, self.memory = True, 0

    def detach(self, loss: SessionLossReason | None) -> LiveSession | None:
        """It has no session any more; who gets the one it had ends it."""
        session, self.session = self.session, None
        # A session nobody was told of leaves the reason of the one before it standing.
        self.lost = (self.lost if self.is_new else None) or loss
        self.put_paths.clear()
        self.memory = 0
        return session

    def keep_for(self, run: RunId) -> None:
        """Nobody takes the session while `run` is being executed."""
        self.keeper, self.kept_until = run, math.inf

    def is_idle(self, at: float) -> bool:
        """Whether it has a session that nobody uses and no run keeps."""
        return self.session is not None and not self.users and self.kept_until <= at

    async def counted(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same content; what it takes counts until the session itself tells."""
        async for piece in content:
            self.memory += len(piece)
            yield piece
