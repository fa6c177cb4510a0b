"""Turns of those who change one object."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class ObjectLocks(Protocol):
    """A fair queue for each object of this process, around reading, deciding and writing (ADR-0019).

    Between processes the rows' versions are the guard. Whoever is cancelled leaves the queue.
    """

    def hold(self, ids: Iterable[str]) -> AbstractAsyncContextManager[None]:
        """Enter when all before us are done with every object of `ids`, and nobody else until we leave.

        Several are taken in one order, so take all at once; those taken while others are held must come behind them:
        assistants, threads, messages and runs, then the files of stores. Raises Unavailable after some seconds.
        """
        ...
