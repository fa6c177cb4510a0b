"""What is kept no longer: looked for and removed a little at a time, so that no run waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from threadmill.domain.ids import Instant, RunId, ThreadId
from threadmill.domain.thread import Thread

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What was due among the rows that were looked at, and the place behind them; None: there are no more."""

    due: Sequence[T]
    place: int | None


class Removed(Enum):
    """What was removed of a thread. NOTHING: it is in use, or gone."""

    SOME = 1
    ALL = 2
    NOTHING = 3


class Retention(Protocol):
    """Rows of all projects, in the order of their insertion. A walk begins at place 0."""

    async def ended_runs(self, before: Instant, place: int, rows: int) -> Found[RunId]:
        """Runs of before `before` that are over and still have events, among the next `rows` runs behind `place`, or more of them."""
        ...

    async def delete_events(self, runs: Sequence[RunId]) -> None:
        """Their logs, in one transaction. Raises Unavailable."""
        ...

    async def idle_threads(self, before: Instant, place: int, rows: int) -> Found[Thread]:
        """Threads of before `before` without a message or run since and without an active run, likewise."""
        ...

    async def shrink(self, thread_id: ThreadId, rows: int) -> bool:
        """Remove `rows` messages, and `rows` runs that are over, of a thread that has more of either; whether it had.

        In one transaction. What is left is little enough for one write set. Raises Unavailable.
        """
        ...

    async def remove(self, thread: Thread, before: Instant, rows: int) -> Removed:
        """Remove at most `rows` messages and `rows` runs with all that is theirs, or the thread when it has none left.

        In one transaction, and only while it is idle as `idle_threads` says. Raises Unavailable.
        """
        ...
