"""How late the event loop is: what all streams of a process wait, and what tells clients that poll to ask less often."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

TICK = 0.1
"""Seconds between two looks."""

SHARE = 0.1
"""Of one look in what is told: a single pause is forgotten within a second or two, and who was sent away because of a crowd
does not come back at once.
"""


class LoopLag:
    """`seconds` is how late the loop was of late, on average."""

    def __init__(self) -> None:
        self.seconds: float = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def measured(self) -> Generator[None]:
        """Measure inside of this, in the loop that runs."""
        loop = asyncio.get_running_loop()
        self._expect(loop, loop.time() + TICK)
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _expect(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._timer = loop.call_at(at, self._look, loop, at)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self.saw(now - due)
        self._expect(loop, now + TICK)

    def saw(self, late: float) -> None:
        """A look came so many seconds late."""
        self.seconds += (max(0.0, late) - self.seconds) * SHARE
