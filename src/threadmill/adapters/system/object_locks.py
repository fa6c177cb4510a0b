"""The ObjectLocks port within one process."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from threadmill.domain.error import DatabaseUnavailable, Unavailable

PATIENCE = 30.0
"""Seconds somebody waits for objects."""


@dataclass(slots=True)
class _Queue:
    """Those who hold an object or wait for it. asyncio's lock is fair, and loses nothing to a cancellation.

    `failures` counts those who found the database unavailable, `failure` is what the last of them was told.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    members: int = 0
    failures: int = 0
    failure: str = ""


class ProcessObjectLocks:
    """See the port. A queue without members is forgotten."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience: float = patience
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def hold(self, ids: Iterable[str]) -> AsyncGenerator[None, None]:
        """See the port."""
        keys = sorted(set(ids))
        held: list[asyncio.Lock] = []
        queues = [self._join(key) for key in keys]
        failures = [queue.failures for queue in queues]
        try:
            await self._take(queues, held)
            _raise_if_hopeless(queues, failures)
            try:
                yield
            except DatabaseUnavailable as error:
                _note_failure(queues, error)
                raise
        finally:
            for lock in held:
                lock.release()
            for key in keys:
                self._leave(key)

    def _join(self, key: str) -> _Queue:
        queue = self._queues.setdefault(key, _Queue())
        queue.members += 1
        return queue

    def _leave(self, key: str) -> None:
        queue = self._queues[key]
        queue.members -= 1
        if not queue.members:
            del self._queues[key]

    async def _take(self, queues: Sequence[_Queue], held: list[asyncio.Lock]) -> None:
        """Acquire all in their order, noting each in `held`."""
        try:
            async with asyncio.timeout(self._patience):
                for queue in queues:
                    await queue.lock.acquire()
                    held.append(queue.lock)
        except TimeoutError:
            raise Unavailable("Too many requests change this object at the same time. Try again.") from None

    def __len__(self) -> int:
        """How many objects are held or waited for."""
        return len(self._queues)


def _note_failure(queues: Sequence[_Queue], error: DatabaseUnavailable) -> None:
    for queue in queues:
        queue.failures += 1
        queue.failure = error.message


def _raise_if_hopeless(queues: Sequence[_Queue], failures: Sequence[int]) -> None:
    """Whoever waited while another found the database unavailable is told the same, and need not find out after him."""
    for queue, before in zip(queues, failures, strict=True):
        if queue.failures > before:
            raise DatabaseUnavailable(queue.failure)
