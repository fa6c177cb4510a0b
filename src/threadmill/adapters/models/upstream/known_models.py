"""What an upstream said it has: the last known list at once, asked for again in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ModelError, ModelInfo

LOG = logging.getLogger("threadmill.models")

FRESH_SECONDS = 60.0
"""How long a list of models is believed."""

RETRY_SECONDS = 10.0
"""How long an upstream that did not answer is not asked again."""


class KnownModels:
    """`ask` asks the upstream, and raises ModelError. It is asked once at a time, whoever wants to know."""

    def __init__(self, ask: Callable[[], Awaitable[Sequence[ModelInfo]]], monotonic: Callable[[], float]) -> None:
        self._ask: Callable[[], Awaitable[Sequence[ModelInfo]]] = ask
        self._monotonic: Callable[[], float] = monotonic
        self._asking: asyncio.Task[None] | None = None
        self._due: float = float("-inf")
        self._error: ModelError | None = None
        self.by_id: Mapping[str, ModelInfo] = {}
        self.is_listed: bool = False

    async def fresh(self) -> Sequence[ModelInfo]:
        """The list, a minute old at most. Raises ModelError when the upstream did not answer a moment ago or now."""
        if (asking := self._ask_if_due()) is not None:
            await asyncio.shield(asking)
        if self._error is not None:
            raise self._error
        return tuple(self.by_id.values())

    async def last(self, patience: float | None) -> Sequence[ModelInfo]:
        """The last known list. Only the first answer of all is waited for, `patience` seconds at most (None: to its end)."""
        asking = self._ask_if_due()
        if asking is not None and not self.is_listed and self._error is None:
            await asyncio.wait({asking}, timeout=patience)
        return tuple(self.by_id.values())

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    def _ask_if_due(self) -> asyncio.Task[None] | None:
        """The question that is open, if there is one."""
        if self._asking is None and self._monotonic() >= self._due:
            self._asking = asyncio.create_task(self._refresh())
        return self._asking

    async def _refresh(self) -> None:
        try:
            found = await self._ask()
        except ModelError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it said, it is asked again, and not at once
            self._fail(
                ModelError(ErrorCode.SERVER_ERROR, f"The list of models cannot be read ({type(error).__name__}).")
            )
        else:
            self.by_id = {info.id: info for info in found}
            self.is_listed, self._error, self._due = True, None, self._monotonic() + FRESH_SECONDS
        finally:
            self._asking = None

    def _fail(self, error: ModelError) -> None:
        if self._error is None:  # told once while it lasts
            LOG.warning("%s Runs that need it will fail until it answers.", error.message)
        self._error, self._due = error, self._monotonic() + RETRY_SECONDS
