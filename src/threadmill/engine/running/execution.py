"""One claimed run in a worker's hands: what it has open, and the one way it moves.

Only the task that executes the run touches it. Commits are never torn by a cancel: once a write set is on its way,
its outcome is awaited before the cancel goes on, so memory and store agree. A database that cannot be used is waited
for; the text so far is saved beside the stream, which never waits for that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TypeVar

from threadmill.domain.command import Command
from threadmill.domain.decide import Decision, RunState, decide, open_step
from threadmill.domain.delta import Delta
from threadmill.domain.error import DatabaseUnavailable
from threadmill.domain.event import Event
from threadmill.domain.message import Message, MessageStatus
from threadmill.domain.replacement import replace
from threadmill.domain.run import Run
from threadmill.domain.run_record import Milliseconds, Span, with_span
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.ports.store import EpochGuard, Update, WriteSet
from threadmill.engine.running.commit import Told, commit, without_lease, write_set
from threadmill.engine.running.draft import Draft

T = TypeVar("T")

FIRST_DELAY, MAX_DELAY = 0.1, 2.0
"""Seconds between two attempts on a database that cannot be used: they double from the first to the last."""


class Execution:
    """A run being executed. `draft` is what the model has said since the last commit.

    `is_let_go`: the process stops, so nothing is waited for any more.
    """

    def __init__(self, ports: Ports, settings: EngineSettings, progress: RunState) -> None:
        self.ports: Ports = ports
        self.settings: EngineSettings = settings
        self.state: RunState = progress
        self.draft: Draft = Draft()
        self.is_let_go: bool = False
        self.said: int = 0
        """Characters of the model's answers so far, of all turns."""
        self.ends_at_once: bool = False
        """Whether the model's answer is here to its end, so that what opens now need not be stored by itself."""
        self._held: list[Decision] = []
        self._told: list[Told] = []
        self._stored: RunState = progress
        self._shown: RunState = progress
        self._persisted_at: float = ports.clock.monotonic()
        self._saving: asyncio.Task[None] | None = None
        self._epoch_began: float = ports.clock.precise() - ports.clock.monotonic()

    def milliseconds(self) -> Milliseconds:
        """Now, on a clock that never jumps while the run is executed."""
        return Milliseconds(int((self._epoch_began + self.ports.clock.monotonic()) * 1000))

    def note(self, span: Span) -> None:
        """Add to the run's record; the next commit that changes the run has it."""
        self.state = replace(self.state, run=replace(self.run, record=with_span(self.run.record, span)))

    @property
    def run(self) -> Run:
        """The run as last decided."""
        return self.state.run

    async def open(self, *commands: Command) -> None:
        """Like `apply`, for what opens a step. If its end is at hand it is held, and the next commit has it.

        An answer that arrives at once is so one durable commit, and the same to whoever reads its log. Nothing may be
        waited for between the two but that commit.
        """
        if not self.ends_at_once or self._saving is not None:
            await self.apply(*commands)
            return
        if not self._held:
            self._stored, self._shown = self.state, self.draft.merge_into(self.state)
        decisions = self._decide(commands)
        self._held += decisions
        self._told += _events_of(decisions)
        self.state = decisions[-1].state

    def tell(self, delta: Delta) -> None:
        """Publish a delta, behind what is held if something is."""
        if self._held:
            self._told.append(delta)
        else:
            self.ports.log.publish_delta(self.run.id, delta)

    async def store_held(self) -> None:
        """Store and tell what is held. Raises as `apply`."""
        if self._held:
            await self.apply()

    def adopt(self, stored: Run) -> None:
        """Go on from the run as somebody else has stored it. What is held is forgotten: nobody has heard of it."""
        turns, record = self.run.turns, self.run.record
        if self._held:
            self.forget()
            self.state = self._shown
        self.state = replace(self.state, run=replace(stored, turns=turns, record=record))

    def forget(self) -> None:
        """Leave out what the model said since the last commit."""
        if self._held:
            record = self.run.record
            self.state = replace(self._stored, run=replace(self._stored.run, record=record))
            self._let_go()
        self.draft.clear()

    async def apply(self, *commands: Command) -> None:
        """Decide `commands` in order and commit them as one transaction, with the draft folded in.

        Raises VersionConflict when the claim is lost or the run was changed by somebody else.
        """
        await self.patiently(lambda: _uninterrupted(self._apply(commands)))

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The outcome of `attempt`, which is made again for as long as the database cannot be used, until the run expires.

        Raises what else `attempt` raises, and DatabaseUnavailable when the run's time is over or it was let go.
        """
        delay = FIRST_DELAY
        while True:
            try:
                return await attempt()
            except DatabaseUnavailable:
                if self.is_let_go or self.ports.clock.now() >= (self.run.expires_at or 0):
                    raise
            await self.ports.clock.sleep(delay)
            delay = min(2 * delay, MAX_DELAY)

    async def _apply(self, commands: tuple[Command, ...]) -> None:
        await self._end_saving()
        before = self._stored if self._held else self.state
        fresh = self._decide(commands)
        decisions = [*self._held, *fresh]
        decisions[-1] = without_lease(self._with_record(decisions[-1]))
        told = (*self._told, *_events_of(fresh)) if self._held else ()
        await commit(self.ports, self.run.id, write_set(before, decisions), told)
        self.state = decisions[-1].state
        self._let_go()

    def _with_record(self, decision: Decision) -> Decision:
        """The decision with what was noted since it was made: one that is held is older than the answer's end."""
        run, record = decision.state.run, self.run.record
        if run.record is record:
            return decision
        return replace(decision, state=replace(decision.state, run=replace(run, record=record)))

    def _decide(self, commands: tuple[Command, ...]) -> list[Decision]:
        """The decisions in order, with the draft folded in."""
        at = self.ports.clock.now()
        progress = self.draft.merge_into(self.state)
        decisions: list[Decision] = []
        for command in commands:
            decision = decide(progress, command, at)
            decisions.append(decision)
            progress = decision.state
        return decisions

    def _let_go(self) -> None:
        self._held, self._told = [], []

    def so_far(self, message: Message) -> Message:
        """A message as the model has written it so far, if it is the one that is open here."""
        written = self.draft.merge_into(self.state).message
        if written is None or written.id != message.id or message.status is not MessageStatus.IN_PROGRESS:
            return message
        return replace(message, content=written.content)

    def persists_now(self) -> bool:
        """Whether the open message's text was not saved for a while (design 3.5: at most once a second)."""
        return self.ports.clock.monotonic() - self._persisted_at >= self.settings.persist_interval

    def persist_draft(self) -> None:
        """Begin to save the open message's text so far; while that is under way, begin nothing.

        Raises what the last time met: VersionConflict when the claim is lost.
        """
        self._persisted_at = self.ports.clock.monotonic()
        if self._saving is not None and self._saving.done():
            saved, self._saving = self._saving, None
            saved.result()
        if self._saving is None and self.state.message is not None and not self._held:
            self._saving = asyncio.create_task(self._persist(self.state.message), name=f"{self.run.id} draft")
            self._saving.add_done_callback(_ignore_outcome)

    async def _persist(self, stored: Message) -> None:
        message = self.draft.merge_into(self.state).message or stored
        message = replace(message, version=stored.version + 1)
        try:
            await self._save(Update(message, stored.version))
        except DatabaseUnavailable:
            return  # it is saved the next time, or with the end of the message
        self.state = replace(self.state, message=replace(stored, version=message.version))

    async def _end_saving(self) -> None:
        """Wait until the open message's version is known."""
        saving, self._saving = self._saving, None
        if saving is not None:
            await saving

    async def persist_calls(self) -> None:
        """Save the open step's calls as they stand, before they are carried out. Raises VersionConflict, Conflict.

        Whoever takes the run over finds them in a failed step: none is carried out twice (ADR-0007).
        """
        step = open_step(self.state, RunStepType.TOOL_CALLS)
        await self.patiently(lambda: _uninterrupted(self._persist_calls(step)))

    async def _persist_calls(self, stored: RunStep) -> None:
        step = replace(stored, tool_calls=self.draft.tool_calls(), version=stored.version + 1)
        await self._save(Update(step, stored.version))
        self.state = replace(self.state, step=step)

    async def _save(self, update: Update) -> None:
        fence = EpochGuard(self.run.id, self.run.epoch)
        await self.ports.store.apply(WriteSet((update,), (fence,)))


def _ignore_outcome(task: asyncio.Task[None]) -> None:
    """A run that ends without asking for it anew wants no line in the log about it."""
    _ = task.cancelled() or task.exception()


def _events_of(decisions: Sequence[Decision]) -> list[Event]:
    return [event for decision in decisions for event in decision.events]


async def _uninterrupted(work: Coroutine[None, None, T]) -> T:
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # a lost race is looked at again by whoever handles the cancel
        raise
