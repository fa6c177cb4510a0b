"""Changing an object: one after the other within this process, and again when another process was faster."""

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from threadmill.domain.error import Unavailable, VersionConflict
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.clock import Clock

T = TypeVar("T")

MAX_ATTEMPTS = 12
"""How often a lost race is tried again before the caller is told to."""

FIRST_DELAY, MAX_DELAY = 0.005, 0.5
"""Seconds between attempts at most: from the second retry on, doubled each time."""


async def change(ports: Ports, ids: Iterable[str], attempt: Callable[[], Awaitable[T]]) -> T:
    """The outcome of `attempt`, made while nobody else in this process changes the objects named.

    Raises what `attempt` raises, and Unavailable when their turn does not come, or other processes are always faster.
    """
    async with ports.locks.hold(ids):
        return await retry_on_conflict(ports.clock, attempt)


async def retry_on_conflict(
    clock: Clock, attempt: Callable[[], Awaitable[T]], jitter: Callable[[], float] = random.random
) -> T:
    """The outcome of the first `attempt` that does not lose its race. Raises Unavailable after MAX_ATTEMPTS.

    The first retry is at once: whoever was faster is done. Later ones wait, differently long, so that processes which
    met once do not meet again.
    """
    for number in range(MAX_ATTEMPTS):
        if number > 1:
            await clock.sleep(jitter() * min(FIRST_DELAY * 2**number, MAX_DELAY))
        try:
            return await attempt()
        except VersionConflict:
            continue
    raise Unavailable("Too many requests change this object at the same time. Try again.")
