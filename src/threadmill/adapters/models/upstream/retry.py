"""When to ask an upstream again: jittered exponential backoff that yields to the upstream's own Retry-After."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 30.0
"""Seconds of Retry-After that are honoured at most; a run has better things to do than wait for an hour."""

MAX_BACKOFF = 8.0
FIRST_BACKOFF = 0.5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Time and jitter, so that tests need neither: `sleep` in seconds, `jitter` in [0, 1), `now` in Unix seconds."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    now: Callable[[], float] = time.time  # noqa: TID251 - a date in a header is wall time
    monotonic: Callable[[], float] = time.monotonic

    def backoff(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt` (1, 2 …). Half of it is jitter, so that many do not
        come back at once; never less than the upstream wished.
        """
        step = min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** (attempt - 1))
        own = step * (0.5 + 0.5 * self.jitter())
        return own if retry_after is None else max(own, retry_after)

    def parse_retry_after(self, header: str | None) -> float | None:
        """Seconds a Retry-After header asks for, in seconds or as a date; None if it says nothing readable."""
        if not header:
            return None
        try:
            seconds = float(header)
        except ValueError:
            seconds = self._until(header)
        if seconds is None or math.isnan(seconds):
            return None
        return min(MAX_RETRY_AFTER, max(0.0, seconds))

    def _until(self, date: str) -> float | None:
        try:
            moment = parsedate_to_datetime(date)
        except (ValueError, TypeError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - self.now()
