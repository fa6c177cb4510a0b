"""A run's whole event log, for readers who come late, come back, or come when all is over."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from threadmill.domain.error import InvalidRequest, NotFound
from threadmill.domain.run import Run
from threadmill.engine.engine import Engine
from threadmill.engine.ports.event_log import Entry


async def follow(engine: Engine, run: Run, after: int) -> AsyncGenerator[Sequence[Entry], None]:
    """What follows event `after`, until the run is over; nothing if `after` was the last. Raises InvalidRequest,
    NotFound when the run's log is kept no longer.

    Deltas that are in nobody's memory any more are in the event that closed their message or step.
    """
    is_over = False
    if after or run.is_terminal:
        stored = await engine.ports.store.events(run.id, max(after - 1, 0))
        if not stored and run.is_terminal and not await engine.ports.store.events(run.id):
            raise NotFound(f"The events of run '{run.id}' are not kept any more; the run, its steps and messages are.")
        if after and (not stored or stored[0].seq != after):
            raise InvalidRequest(f"No event found with id '{after}' in this run.", param="after", code="invalid_value")
        is_over = bool(after) and run.is_terminal and len(stored) == 1
    return _entries(engine, run, after, is_over=is_over)


async def _entries(engine: Engine, run: Run, after: int, *, is_over: bool) -> AsyncGenerator[Sequence[Entry], None]:
    if is_over:
        return
    async with aclosing(engine.ports.log.tail(run.id, after, is_whole=True)) as entries:
        async for batch in entries:
            yield batch
