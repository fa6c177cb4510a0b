"""Whether the server can be used, asked anew every few seconds at most, and once for all who want to know."""

import asyncio
import logging

from threadmill.domain.error import ThreadmillError
from threadmill.engine.engine import Engine
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.model import ModelError

LOG = logging.getLogger("threadmill")

TIMEOUT = 5.0
FRESH_SECONDS = 5.0
"""How old an answer may be: each asks every upstream, with the operator's key, and anybody may ask us."""


class Readiness:
    """The database, every upstream and the background tasks, as they were lately."""

    def __init__(self, engine: Engine) -> None:
        self._engine: Engine = engine
        self._ports: Ports = engine.ports
        self._problem: str | None = None
        self._fresh_until: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def problem(self) -> str | None:
        """What cannot be used, or None."""
        if self._fresh_until is None or self._ports.clock.monotonic() >= self._fresh_until:
            if self._asking is None:
                self._asking = asyncio.create_task(self._refresh())
            # Who leaves does not end it for the others.
            await asyncio.shield(self._asking)
        return self._problem

    async def _refresh(self) -> None:
        try:
            self._problem = await self._ask()
            self._fresh_until = self._ports.clock.monotonic() + FRESH_SECONDS
        finally:
            self._asking = None

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._ports.queue.queued(1)
                await self._ports.model.ready()
        except (ThreadmillError, ModelError) as error:
            return error.message
        except TimeoutError:
            return "The upstream does not answer."
        except Exception as error:
            LOG.exception("Looking whether the server can be used failed")
            return f"The server does not get on: looking at it fails ({type(error).__name__}). Its log says more."
        troubles = await asyncio.to_thread(self._ports.troubles.current)  # it may look at a disk that does not answer
        stuck = [f"{what} fails ({why.rstrip('.')})" for what, why in troubles.items()]
        return f"The server does not get on: {'; '.join(stuck)}. Its log says more." if stuck else None
