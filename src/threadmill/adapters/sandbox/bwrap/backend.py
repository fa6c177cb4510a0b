"""Sessions out of one zygote, which is started when first needed and again when it died."""

import asyncio

from threadmill.adapters.sandbox.backend import SessionLimits
from threadmill.adapters.sandbox.bwrap.client_session import BwrapSession
from threadmill.adapters.sandbox.bwrap.command import SandboxPaths
from threadmill.adapters.sandbox.bwrap.zygote import ZygoteClient


class BwrapBackend:
    """See Backend."""

    unavailable_reason: str | None = None

    def __init__(self, bwrap: str, paths: SandboxPaths, limits: SessionLimits) -> None:
        self._bwrap, self._places, self._limits = bwrap, paths, limits
        self._starting = asyncio.Lock()
        self._zygote: ZygoteClient | None = None

    async def open(self) -> BwrapSession:
        """See the protocol."""
        return await self.open_with(self._limits)

    async def open_with(self, limits: SessionLimits) -> BwrapSession:
        """A session with limits of its own. Raises SandboxUnavailable."""
        return await BwrapSession.open(await self.zygote(), limits)

    async def zygote(self) -> ZygoteClient:
        """The living zygote, started if need be. Raises SandboxUnavailable."""
        async with self._starting:
            if self._zygote is None or self._zygote.is_dead:
                await self.close()
                self._zygote = await ZygoteClient.start(self._bwrap, self._places)
            return self._zygote

    async def close(self) -> None:
        """See the protocol."""
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await zygote.close()
