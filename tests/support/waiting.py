"""Waiting for what gives no sign of its own: asked again and again, within a bound that says what was waited for."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

SECONDS = 240
"""More than anything here takes on a busy machine, and less than a test may take."""

PAUSE = 0.003
"""Between two questions, so that the asking does not take the core from what is waited for."""

Condition: TypeAlias = Callable[[], Awaitable[bool] | bool]


async def until(what: str, holds: Condition, go_on: Callable[[], Awaitable[None]] | None = None) -> None:
    """Return once `holds` is true. Fails after four minutes, with what was waited for.

    `go_on` passes the time between two questions, where that is not the clock's to do.
    """
    end = time.monotonic() + SECONDS
    while not await _answer(holds):
        assert time.monotonic() < end, f"waited {SECONDS} s for {what}"
        await (go_on() if go_on else asyncio.sleep(PAUSE))  # lint: allow tests_do_not_sleep because it is the one poll


async def _answer(holds: Condition) -> bool:
    found = holds()
    return await found if inspect.isawaitable(found) else found
