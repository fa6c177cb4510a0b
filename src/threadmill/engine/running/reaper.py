"""Overdue and orphaned runs: the first expire, the second are rescued, that is, given back to the queue."""

from dataclasses import replace

from threadmill.domain import command as c
from threadmill.domain.decide import RunState, decide
from threadmill.domain.error import VersionConflict
from threadmill.domain.ids import Instant
from threadmill.domain.message import Message, MessageStatus
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStepStatus
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.running.commit import commit, without_lease, write_set
from threadmill.engine.running.worker import Worker, rescue

BATCH = 256
"""Runs looked at in one sweep."""

FOREVER: Instant = 2**62
"""An instant after every lease: at start-up an embedded server knows that all earlier claims are dead."""


async def load_progress(ports: Ports, run: Run) -> RunState:
    """The run with what it has open, read from the store."""
    steps = await ports.store.steps(run.id)
    step = next((step for step in reversed(steps) if step.status is RunStepStatus.IN_PROGRESS), None)
    if step is None or step.message_id is None:
        return RunState(run, step)
    message = await ports.store.get(Message, run.project, step.message_id)
    is_open = message is not None and message.status is MessageStatus.IN_PROGRESS
    return RunState(run, step, message if is_open else None)


async def sweep(ports: Ports, worker: Worker, at: Instant, *, leases_before: Instant) -> None:
    """Expire what is overdue at `at`; rescue runs whose lease ended before `leases_before`."""
    for run in await ports.queue.overdue(at, BATCH):
        # A run in a worker's hands expires there, where its upstream connection is closed too.
        if not worker.holds(run.id):
            await _end_or_tell(ports, worker, run, c.Expire(), at)
    for run in await ports.queue.lease_expired(leases_before, BATCH):
        if not worker.holds(run.id):
            await _end_or_tell(ports, worker, run, rescue(run, worker.settings), at)
    worker.wake()


async def _end_or_tell(
    ports: Ports, worker: Worker, run: Run, command: c.Expire | c.Rescue | c.Fail, at: Instant
) -> None:
    what = f"run {run.id} could not be expired or rescued"
    await worker.unmovable.attempt(what, run.id, _end(ports, run, command, at))


async def _end(ports: Ports, run: Run, command: c.Expire | c.Rescue | c.Fail, at: Instant) -> None:
    before = await load_progress(ports, run)
    # The epoch rises, so that a worker thought dead writes nothing if it comes back (ADR-0004).
    fenced = replace(run, epoch=run.epoch + 1)
    decision = without_lease(decide(replace(before, run=fenced), command, at))
    try:
        await commit(ports, run.id, write_set(before, [decision]))
    except VersionConflict:
        return  # somebody else moved it: nothing to reap any more
