"""One claimed run in a worker's hands: what it has open, and the one way it moves.

Only the task that executes the run touches it. Commits are never torn by a cancel: once a write set is on its way,
its outcome is awaited before the cancel goes on, so memory and store agree.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import TypeVar

from threadmill.domain.command import Command
from threadmill.domain.decide import Decision, RunState, decide, open_step
from threadmill.domain.message import Message, MessageStatus
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep, RunStepType
from threadmill.engine.ports.bundle import EngineSettings, Ports
from threadmill.engine.ports.store import EpochGuard, Update, WriteSet
from threadmill.engine.running.commit import commit, without_lease, write_set
from threadmill.engine.running.draft import Draft

T = TypeVar("T")


class Execution:
    """A run being executed. `draft` is what the model has said since the last commit."""

    def __init__(self, ports: Ports, settings: EngineSettings, progress: RunState) -> None:
        self.ports: Ports = ports
        self.settings: EngineSettings = settings
        self.state: RunState = progress
        self.draft: Draft = Draft()
        self._persisted_at: float = ports.clock.monotonic()

    @property
    def run(self) -> Run:
        """The run as last committed."""
        return self.state.run

    async def apply(self, *commands: Command) -> None:
        """Decide `commands` in order and commit them as one transaction, with the draft folded in.

        Raises VersionConflict when the claim is lost or the run was changed by somebody else.
        """
        await _uninterrupted(self._apply(commands))

    async def _apply(self, commands: tuple[Command, ...]) -> None:
        at = self.ports.clock.now()
        progress = self.draft.merge_into(self.state)
        decisions: list[Decision] = []
        for command in commands:
            decision = decide(progress, command, at)
            decisions.append(decision)
            progress = decision.state
        decisions[-1] = without_lease(decisions[-1])
        await commit(self.ports, self.run.id, write_set(self.state, decisions))
        self.state = decisions[-1].state

    def so_far(self, message: Message) -> Message:
        """A message as the model has written it so far, if it is the one that is open here."""
        written = self.draft.merge_into(self.state).message
        if written is None or written.id != message.id or message.status is not MessageStatus.IN_PROGRESS:
            return message
        return replace(message, content=written.content)

    def persists_now(self) -> bool:
        """Whether the open message's text was not saved for a while (design 3.5: at most once a second)."""
        return self.ports.clock.monotonic() - self._persisted_at >= self.settings.persist_interval

    async def persist_draft(self) -> None:
        """Save the open message's text so far."""
        self._persisted_at = self.ports.clock.monotonic()
        if self.state.message is not None:
            await _uninterrupted(self._persist(self.state.message))

    async def _persist(self, stored: Message) -> None:
        message = self.draft.merge_into(self.state).message or stored
        message = replace(message, version=stored.version + 1)
        await self._save(Update(message, stored.version))
        self.state = replace(self.state, message=replace(stored, version=message.version))

    async def persist_calls(self) -> None:
        """Save the open step's calls as they stand, before they are carried out. Raises VersionConflict, Conflict.

        Whoever takes the run over finds them in a failed step: none is carried out twice (ADR-0007).
        """
        await _uninterrupted(self._persist_calls(open_step(self.state, RunStepType.TOOL_CALLS)))

    async def _persist_calls(self, stored: RunStep) -> None:
        step = replace(stored, tool_calls=self.draft.tool_calls(), version=stored.version + 1)
        await self._save(Update(step, stored.version))
        self.state = replace(self.state, step=step)

    async def _save(self, update: Update) -> None:
        fence = EpochGuard(self.run.id, self.run.epoch)
        await self.ports.store.apply(WriteSet((update,), (fence,)))


async def _uninterrupted(work: Coroutine[None, None, T]) -> T:
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # a lost race is looked at again by whoever handles the cancel
        raise
