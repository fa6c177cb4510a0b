"""Decisions become one write set; a committed write set is told to the readers. The only way a run changes."""

from collections.abc import Sequence
from typing import TypeAlias

from threadmill.domain.decide import Decision, RunState
from threadmill.domain.delta import Delta
from threadmill.domain.event import Event
from threadmill.domain.ids import RunId
from threadmill.domain.message import Message
from threadmill.domain.replacement import replace
from threadmill.domain.run import Run, RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.store import EpochGuard, Insert, StoredEvent, Update, Write, WriteSet

Told: TypeAlias = Event | Delta
"""What the readers of a run's log get."""

EXECUTING = frozenset({RunStatus.IN_PROGRESS, RunStatus.CANCELLING})
"""Statuses in which a worker may hold the lease."""


def write_set(before: RunState, decisions: Sequence[Decision]) -> WriteSet:
    """One transaction for a chain of decisions that began at `before`, fenced by the run's epoch."""
    known = {row.id: row.version for row in (before.run, before.step, before.message) if row is not None}
    changed: dict[str, RunStep | Message | Run] = {}
    events: list[Event] = []
    for decision in decisions:
        changed.update((row.id, row) for row in decision.changed)
        events.extend(decision.events)
    run = decisions[-1].state.run
    if run != before.run:
        changed[run.id] = run
    writes: list[Write] = [Update(row, known[row.id]) if row.id in known else Insert(row) for row in changed.values()]
    return WriteSet(tuple(writes), (EpochGuard(run.id, before.run.epoch),), run.id, tuple(events))


def without_lease(decision: Decision) -> Decision:
    """The decision with the lease given back when its run is no longer executed."""
    run = decision.state.run
    if run.lease_until is None or run.status in EXECUTING:
        return decision
    return replace(decision, state=replace(decision.state, run=replace(run, lease_until=None)))


async def commit(ports: Ports, run_id: RunId, transaction: WriteSet, told: Sequence[Told] = ()) -> int:
    """Apply a run's transaction, which has events, durably; then tell the readers. Gives the first event's number.

    `told` are its events with the deltas that stand between them, if there are any. Raises VersionConflict, Unavailable
    as `Store.apply` does; then nobody was told anything.
    """
    first = await ports.store.apply(transaction)
    stored = [StoredEvent(first + index, event) for index, event in enumerate(transaction.events)]
    if told:
        _tell(ports, run_id, stored, told)
    else:
        ports.log.publish(run_id, stored)
    _count_transitions(ports, transaction.events)
    return first


def _tell(ports: Ports, run_id: RunId, stored: Sequence[StoredEvent], told: Sequence[Told]) -> None:
    """The events in their order, each delta where it was."""
    left = iter(stored)
    for told_one in told:
        if isinstance(told_one, Event):
            ports.log.publish(run_id, [next(left)])
        else:
            ports.log.publish_delta(run_id, told_one)


def _count_transitions(ports: Ports, events: Sequence[Event]) -> None:
    for event in events:
        # `thread.run.created` and `thread.run.queued` show the same object: one move, counted once.
        if isinstance(event.subject, Run) and event.name == f"thread.run.{event.subject.status}":
            ports.metrics.run_status_changed(event.subject.status)
