"""Step 4 of a run: claim, beat, hand over, settle. Never looks inside a turn (see run_loop).

One task per run. A client that leaves does not stop it; a cancel, an expiry, a lost claim or a drain does.
"""

import asyncio

from threadmill.domain import command as c
from threadmill.domain.decide import RunState, decide
from threadmill.domain.error import DatabaseUnavailable, ThreadmillError, VersionConflict
from threadmill.domain.ids import Instant, RunId
from threadmill.domain.message import Message
from threadmill.domain.outcome import ErrorCode, LastError
from threadmill.domain.replacement import replace
from threadmill.domain.run import Run, RunStatus
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.ports.model import ModelError
from threadmill.engine.ports.surprises import RUN_INTERNAL_ERROR, OnError
from threadmill.engine.running.commit import commit, write_set
from threadmill.engine.running.execution import Execution
from threadmill.engine.running.places import Places
from threadmill.engine.running.run_loop import run_to_end
from threadmill.engine.storage.unmovable import Unmovable

CLAIM_BATCH = 16
"""Queued runs read at once: those that cannot be claimed are read for nothing."""

CLIENT_SECONDS = 60.0
"""How long variables are kept for a run whose client is asked, though others wait for a session."""


def with_claim(run: Run, at: Instant, lease: int) -> Run:
    """The run in a worker's hands: a higher epoch fences whoever held it before; `lease` in seconds."""
    return replace(run, epoch=run.epoch + 1, lease_until=at + lease)


def rescue(run: Run, settings: EngineSettings) -> c.Rescue | c.Fail:
    """Back to the queue, unless it was there too often without having got on: then whatever stops it would go on so."""
    if run.rescues < settings.max_rescues:
        return c.Rescue()
    text = f"The run was given up: its worker was lost {run.rescues + 1} times before it could go on."
    return c.Fail(LastError(ErrorCode.SERVER_ERROR, text))


MAX_TRIES = 3
"""How often a run that somebody else changed meanwhile is looked at again to settle it."""


class _RunExpired(Exception):
    """The run's own time is over."""


class Worker:
    """Executes runs, up to `settings.max_runs` at once and not all for one upstream; the rest wait as queued."""

    def __init__(self, ports: Ports, settings: EngineSettings, report: OnError) -> None:
        self._ports: Ports = ports
        self.settings: EngineSettings = settings
        self.report: OnError = report
        self.unmovable: Unmovable = Unmovable(report)
        self._tasks: dict[RunId, asyncio.Task[None]] = {}
        self._executions: dict[RunId, Execution] = {}
        self._places: Places = Places(settings.max_runs, settings.upstream_share)
        self._crowded: set[str] = set()
        self._draining: bool = False
        self._wakened: asyncio.Event = asyncio.Event()

    def reserve(self, model: str) -> str | None:
        """Take a place for a run about to be stored as claimed (ADR-0006): the name of the upstream it is counted for.

        None when there is none for that model. Follow with `start` or `release`.
        """
        upstream = self._ports.model.get_info(model).upstream
        return upstream if not self._draining and self._places.take(upstream) else None

    def release(self, place: str) -> None:
        """The run was not stored after all."""
        self._places.give_back(place)

    def start(self, progress: RunState, place: str) -> None:
        """Execute a claimed, started run in the place reserved for it."""
        execution = Execution(self._ports, self.settings, progress)
        run_id = progress.run.id
        self._executions[run_id] = execution
        self._tasks[run_id] = task = asyncio.create_task(self._execute(execution), name=run_id)
        task.add_done_callback(lambda _: self._forget(run_id, place))

    def _forget(self, run_id: RunId, place: str) -> None:
        self._places.give_back(place)
        self._tasks.pop(run_id, None)
        self._executions.pop(run_id, None)
        self._wakened.set()

    def holds(self, run_id: RunId) -> bool:
        """Whether this worker executes the run now."""
        return run_id in self._tasks

    def so_far(self, message: Message) -> Message:
        """A stored message with the text that this worker has of it beyond what is stored."""
        execution = None if message.run_id is None else self._executions.get(message.run_id)
        return message if execution is None else execution.so_far(message)

    def interrupt(self, run_id: RunId) -> None:
        """Stop the run's turn now, closing the upstream connection; what becomes of the run its status says."""
        task = self._tasks.get(run_id)
        if task is not None:
            task.cancel()

    def wake(self) -> None:
        """A run may be waiting."""
        self._wakened.set()

    async def wakened(self) -> None:
        """Return when a run may be waiting that was not looked for yet."""
        await self._wakened.wait()
        self._wakened.clear()

    async def claim_waiting(self) -> None:
        """Claim as many queued runs as there is room for, oldest first, past those whose upstream has no room."""
        self._crowded = {model for model in self._crowded if not self._has_room(model)}
        while not self._draining and (room := self._places.free) > 0:
            before = len(self._crowded)
            claimed = 0
            for run in await self._ports.queue.queued(min(room, CLAIM_BATCH), self._crowded):
                place = self.reserve(run.model)
                if place is None:
                    self._crowded.add(run.model)
                else:
                    await self.unmovable.attempt(f"run {run.id} could not be claimed", run.id, self._claim(run, place))
                    claimed += self.holds(run.id)
            if not claimed and len(self._crowded) == before:
                return

    def _has_room(self, model: str) -> bool:
        return self._places.has_room(self._ports.model.get_info(model).upstream)

    async def _claim(self, run: Run, place: str) -> None:
        """Execute the run, unless somebody else was faster. A place that it does not take is given back."""
        try:
            started = await self._commit_claim(run)
        except BaseException as error:
            self.release(place)
            if isinstance(error, VersionConflict):
                return
            raise
        self._ports.metrics.queue_time(self._ports.clock.now() - run.created_at)
        self.start(started, place)

    async def _commit_claim(self, run: Run) -> RunState:
        now = self._ports.clock.now()
        before = RunState(run)
        started = decide(RunState(with_claim(run, now, self.settings.lease)), c.Start(), now)
        await commit(self._ports, run.id, write_set(before, [started]))
        return started.state

    async def heartbeat(self) -> None:
        """Extend the leases of all runs held; a claim that is lost is let go at once. Raises Unavailable."""
        held = dict(self._executions)
        claims = {run_id: execution.run.epoch for run_id, execution in held.items()}
        until = self._ports.clock.now() + self.settings.lease
        for run_id in await self._ports.queue.extend_leases(claims, until) if claims else ():
            # Meanwhile the run may have asked its client, been answered and gone on: that execution has its own claim.
            if self._executions.get(run_id) is held[run_id]:
                self.interrupt(run_id)

    async def drain(self, seconds: float) -> None:
        """Stop claiming, let runs end for `seconds`, then give the rest back to the queue."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        left = list(self._tasks.values())
        for execution in self._executions.values():
            execution.is_let_go = True
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _execute(self, execution: Execution) -> None:
        """From claimed to settled. Whatever happens inside, the run does not stay active unwatched."""
        try:
            await self._drive(execution)
        except (asyncio.CancelledError, VersionConflict):
            await self._reconcile_or_tell(execution)
        except ModelError as error:
            await self._finish(execution, c.Fail(LastError(error.code, error.message)))
        except _RunExpired:
            await self._finish(execution, c.Expire())
        except DatabaseUnavailable as error:
            self.report(f"run {execution.run.id} goes back to the queue", error)
            await self._finish(execution, rescue(execution.run, self.settings))
        except Exception as error:  # noqa: BLE001 - the last resort: a surprise fails the run, never leaves it locked
            self.report(f"run {execution.run.id} failed unexpectedly", error)
            await self._finish(execution, c.Fail(LastError(ErrorCode.SERVER_ERROR, RUN_INTERNAL_ERROR)))
        finally:
            run = execution.run
            self._ports.sandbox.release(run.thread_id, run.id, 0 if run.is_terminal else CLIENT_SECONDS)

    async def _drive(self, execution: Execution) -> None:
        expires_at = execution.run.expires_at
        left = None if expires_at is None else expires_at - self._ports.clock.now()
        expiry = asyncio.timeout(left)
        try:
            async with expiry:
                await run_to_end(execution)
        except TimeoutError:
            if expiry.expired():
                raise _RunExpired from None
            raise  # somebody else's time was over: not the run's

    async def _finish(self, execution: Execution, command: c.Command, tries: int = MAX_TRIES) -> None:
        try:
            await self._settle(execution, command)
        except VersionConflict as error:
            if tries > 1:
                await self._reconcile(execution, tries - 1)
            else:  # not the run changes, but something of it that we cannot see: as below
                self.report(f"run {execution.run.id} could not be settled", error)
        except Exception as error:  # noqa: BLE001 - the lease lapses, and the reaper gives the run another life
            self.report(f"run {execution.run.id} could not be settled", error)

    async def _settle(self, execution: Execution, command: c.Command) -> None:
        """Whatever is wrong with what the model said last, the run does not stay active for it."""
        try:
            await execution.apply(command)
        except ThreadmillError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self.report(f"what run {execution.run.id} said last cannot be stored and is left out", error)
            execution.forget()
            await execution.apply(command)

    async def _reconcile_or_tell(self, execution: Execution) -> None:
        try:
            await self._reconcile(execution)
        except Exception as error:  # noqa: BLE001 - as in `_finish`
            self.report(f"run {execution.run.id} could not be settled", error)

    async def _reconcile(self, execution: Execution, tries: int = MAX_TRIES) -> None:
        """Interrupted: the stored status says why. Cancelled by its client, taken over, deleted, or drained here."""
        held = execution.run
        stored = await execution.patiently(lambda: self._ports.store.get(Run, held.project, held.id))
        if stored is None or stored.epoch != held.epoch or stored.is_terminal:
            return
        execution.adopt(stored)
        if stored.status is RunStatus.CANCELLING:
            await self._finish(execution, c.FinishCancel(), tries)
        elif stored.status is RunStatus.IN_PROGRESS:
            await self._finish(execution, self._give_back(stored), tries)

    def _give_back(self, run: Run) -> c.Rescue | c.Fail:
        if self._draining:
            return c.Rescue(is_planned=True)
        self.report(f"run {run.id} was stopped without a reason of its own", None)
        return rescue(run, self.settings)
