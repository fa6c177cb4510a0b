"""Trying again after a lost race: read again, decide again. Two clients at once is everyday; eight in a row is not."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from threadmill.domain.error import LostRace, Unavailable

T = TypeVar("T")

ATTEMPTS = 8
"""How often a lost race is tried again before the caller is told to."""


async def until_won(attempt: Callable[[], Awaitable[T]]) -> T:
    """The outcome of the first `attempt` that does not lose its race. Raises Unavailable after ATTEMPTS."""
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except LostRace:
            continue
    raise Unavailable("Too many requests change this object at the same time. Try again.")
