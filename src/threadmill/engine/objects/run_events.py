"""A run's whole event log, for readers who come late, come back, or come when all is over."""

from collections.abc import AsyncGenerator, Sequence

from threadmill.domain.error import InvalidRequest
from threadmill.domain.run import Run
from threadmill.engine.engine import Engine
from threadmill.engine.ports.event_log import Entry


async def follow(engine: Engine, run: Run, after: int) -> AsyncGenerator[Sequence[Entry], None]:
    """What follows event `after`, until the run is over; nothing if `after` was the last. Raises InvalidRequest.

    Deltas that are in nobody's memory any more are in the event that closed their message or step.
    """
    if after:
        stored = await engine.ports.store.events(run.id, after - 1)
        if not stored or stored[0].seq != after:
            raise InvalidRequest(f"No event found with id '{after}' in this run.", param="after", code="invalid_value")
        if run.is_terminal and len(stored) == 1:
            return _nothing()
    return engine.ports.log.tail(run.id, after, is_whole=True)


async def _nothing() -> AsyncGenerator[Sequence[Entry], None]:
    for batch in ():
        yield batch
