"""One server a database: a lock that lasts as long as a connection of its own, taken again when that is lost.

A start takes every run that executes for one whose server is dead, so there must be no other (ADR-0023).
"""

import asyncio
from contextlib import suppress
from typing import TypeAlias

import asyncpg

from threadmill.adapters.postgres.failure import reason
from threadmill.engine.ports.troubles import Troubles

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

LOCK = 0x74687265
CONNECT_SECONDS = 5.0
RETRY_SECONDS = 0.5
HOLDING = "keeping other servers away from the database"


async def take(url: str) -> "Connection | None":
    """A connection that holds the lock; None when another server does. Raises what asyncpg does."""
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        if await connection.fetchval(f"SELECT pg_try_advisory_lock({LOCK})"):
            return connection
    except BaseException:
        connection.terminate()
        raise
    await connection.close()
    return None


class SoleUse:
    """Holds the lock until it is closed."""

    def __init__(self, url: str, held: Connection, troubles: Troubles) -> None:
        self._url: str = url
        self._held: Connection = held
        self._troubles: Troubles = troubles
        self._wakened: asyncio.Event = asyncio.Event()
        self._is_closed: bool = False
        self._watching: asyncio.Task[None] = asyncio.create_task(self._watch(), name="sole use")

    async def close(self) -> None:
        """Let others in. A connection that is being made is waited for: asyncpg would leave a cancelled one open."""
        self._is_closed = True
        self._wakened.set()
        await asyncio.gather(self._watching, return_exceptions=True)
        self._held.terminate()

    async def _watch(self) -> None:
        self._held.add_termination_listener(self._wake)
        while not self._is_closed:
            self._wakened.clear()
            if not self._held.is_closed():
                await self._wakened.wait()
            elif not await self._take_again():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wakened.wait(), RETRY_SECONDS)

    def _wake(self, _: object) -> None:
        self._wakened.set()

    async def _take_again(self) -> bool:
        try:
            taken = await take(self._url)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lock is wanted still
            self._troubles.begin(HOLDING, f"{reason(error)}.")
            return False
        if taken is None:
            self._troubles.begin(HOLDING, "another server has begun to use it: stop one of the two.")
            return False
        self._held = taken
        taken.add_termination_listener(self._wake)
        self._troubles.end(HOLDING)
        return True
