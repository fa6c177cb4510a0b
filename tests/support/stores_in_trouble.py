"""Stores on memory that fail, or in which somebody else is faster."""

from collections.abc import Awaitable, Callable

from threadmill.adapters.memory.store import MemoryStore
from threadmill.engine.ports.store import WriteSet


class BrokenStore(MemoryStore):
    """Its writes fail while `reason` is set."""

    reason: Exception | None = None

    async def apply(self, write_set: WriteSet) -> int:
        if self.reason is not None:
            raise self.reason
        return await super().apply(write_set)


class RacedStore(MemoryStore):
    """Runs `meanwhile` once, right before the next write: somebody was faster."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def apply(self, write_set: WriteSet) -> int:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().apply(write_set)
