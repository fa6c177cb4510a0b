"""How much of large request bodies is in memory at once: a bound for all, and half of it for any one project."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from threadmill.domain.ids import ProjectId

LARGE_BODY = 64 * 1024
"""Bytes beyond which a body needs room, and is decoded and checked in a thread: less takes a few milliseconds at most."""


@dataclass(frozen=True, slots=True)
class _Waiter:
    project: ProjectId
    size: int
    admitted: asyncio.Future[None]


class BodyRoom:
    """Room for `total` bytes, taken before a body is read: who waits is not read from, so that its bytes stay outside.

    Oldest first; but a project that has its half already lets the others pass.
    """

    def __init__(self, total: int) -> None:
        self._total: int = total
        self._used: Counter[ProjectId] = Counter()
        self._waiting: list[_Waiter] = []

    @asynccontextmanager
    async def hold(self, project: ProjectId, size: int) -> AsyncGenerator[None, None]:
        """Room for a body of `size` bytes, at most half of all, while the context is open. Small ones need none."""
        if size <= LARGE_BODY:
            yield
            return
        await self._enter(project, size)
        try:
            yield
        finally:
            self._leave(project, size)

    @property
    def used(self) -> int:
        """Bytes given away."""
        return self._used.total()

    async def _enter(self, project: ProjectId, size: int) -> None:
        waiter = _Waiter(project, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.cancelled():
                self._admit()  # it may have stood before smaller ones
            else:  # it was let in in the very moment of the cancellation
                self._leave(project, size)
            raise

    def _leave(self, project: ProjectId, size: int) -> None:
        self._used[project] -= size
        self._used += Counter()  # forgets who has none
        self._admit()

    def _admit(self) -> None:
        self._waiting = [waiter for waiter in self._waiting if not waiter.admitted.done()]
        for waiter in self._waiting:
            if self._used[waiter.project] + waiter.size > self._total // 2:
                continue
            if self.used + waiter.size > self._total:
                return  # the oldest that may, waits for room: nobody overtakes it
            self._used[waiter.project] += waiter.size
            waiter.admitted.set_result(None)
