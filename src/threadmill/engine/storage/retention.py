"""Deletes what is kept no longer: logs of runs, and threads nobody has used for long. In small steps."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from threadmill.domain.ids import Instant
from threadmill.domain.thread import Thread
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.retention import Found, Removed, Retention
from threadmill.engine.storage.thread_belongings import delete_belongings
from threadmill.engine.storage.unmovable import Unmovable

T = TypeVar("T")

DAY = 24 * 60 * 60
LOOKED_AT = 1_000
"""Rows a step looks at."""

RUNS, REMOVED = 25, 25
"""Runs whose logs go in one transaction; messages of a thread, and runs, that go in one: a run that writes waits for it."""


@dataclass(frozen=True, slots=True)
class KeptFor:
    """Days; None: for ever. `files`: what a thread made goes with it."""

    events: int | None = None
    threads: int | None = None
    files: bool = False


async def delete_what_is_old(ports: Ports, retention: Retention, kept: KeptFor, unmovable: Unmovable) -> None:
    """All that is due now. Raises Unavailable."""
    now = ports.clock.now()
    if kept.events is not None:
        await _delete_events(retention, now - kept.events * DAY)
    if kept.threads is not None:
        await _delete_threads(ports, retention, now - kept.threads * DAY, unmovable, with_files=kept.files)


async def _delete_events(retention: Retention, before: Instant) -> None:
    async for found in _walk(lambda place: retention.ended_runs(before, place, LOOKED_AT)):
        for first in range(0, len(found.due), RUNS):
            await retention.delete_events(found.due[first : first + RUNS])


async def _delete_threads(
    ports: Ports, retention: Retention, before: Instant, unmovable: Unmovable, *, with_files: bool
) -> None:
    async for found in _walk(lambda place: retention.idle_threads(before, place, LOOKED_AT)):
        for thread in found.due:
            what = f"thread {thread.id} is kept no longer and could not be deleted"
            await unmovable.attempt(what, thread.id, _delete(ports, retention, thread, before, with_files=with_files))


async def _delete(ports: Ports, retention: Retention, thread: Thread, before: Instant, *, with_files: bool) -> None:
    while (removed := await retention.remove(thread, before, REMOVED)) is Removed.SOME:
        pass
    if removed is Removed.NOTHING:
        return  # somebody deleted it, or uses it again
    await ports.sandbox.close(thread.id)
    if with_files:
        await delete_belongings(ports, thread)


async def _walk(look: Callable[[int], Awaitable[Found[T]]]) -> AsyncGenerator[Found[T]]:
    place: int | None = 0
    while place is not None:
        found = await look(place)
        place = found.place
        yield found
