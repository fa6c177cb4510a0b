"""The places of an upstream that answers few at once: who waits, waits here. Fair between projects, oldest first."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from threadmill.domain.ids import ProjectId


@dataclass(eq=False, slots=True)
class _Waiter:
    project: ProjectId | None
    turn: asyncio.Future[None] = field(repr=False)


class Slots:
    """`count` places. A free one goes to the project that holds fewest, among those to who has waited longest.

    `report` is told after every change how many hold a place and how many wait.
    """

    def __init__(self, count: int, report: Callable[[int, int], None]) -> None:
        self._free: int = count
        self._report: Callable[[int, int], None] = report
        self._held: Counter[ProjectId | None] = Counter()
        self._waiting: list[_Waiter] = []

    @asynccontextmanager
    async def hold(self, project: ProjectId | None) -> AsyncGenerator[None]:
        """A place, for as long as the context is open. Waits without a limit; a cancelled wait leaves the queue."""
        await self._take(project)
        try:
            yield
        finally:
            self._give_back(project)

    async def _take(self, project: ProjectId | None) -> None:
        waiter = _Waiter(project, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._hand_out()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.cancelled():
                self._hand_out()
            else:  # the place was handed over in the very moment of the cancellation
                self._give_back(project)
            raise

    def _give_back(self, project: ProjectId | None) -> None:
        self._free += 1
        self._held[project] -= 1
        if not self._held[project]:
            del self._held[project]
        self._hand_out()

    def _hand_out(self) -> None:
        self._waiting = [waiter for waiter in self._waiting if not waiter.turn.cancelled()]
        while self._free and self._waiting:
            # Of equals min() takes the first, which has waited longest.
            waiter = min(self._waiting, key=lambda one: self._held[one.project])
            self._waiting.remove(waiter)
            self._free -= 1
            self._held[waiter.project] += 1
            waiter.turn.set_result(None)
        self._tell()

    def _tell(self) -> None:
        self._report(self._held.total(), len(self._waiting))
