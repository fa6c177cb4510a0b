"""Runs on the stage: begun, answered, and what is left of them in the store and in the log."""

from typing import Any

from tests.support.stage import PROJECT, Stage, Turn
from tests.support.waiting import Condition
from threadmill.domain.delta import Delta
from threadmill.domain.ids import ThreadId
from threadmill.domain.run import NewRun, Run, RunStatus
from threadmill.engine.objects import runs
from threadmill.engine.ports.model import Finish, FinishReason
from threadmill.engine.ports.store import StoredEvent
from threadmill.engine.prompt.conversation import message_text

STOP, CALLS = Finish(FinishReason.STOP), Finish(FinishReason.TOOL_CALLS)


async def begun(stage: Stage, *functions: str, said: str = "hi", **fields: Any) -> Run:
    """A run of a new assistant with these functions on a new thread, that waits for the model's first word."""
    assistant, thread = await stage.assistant(*functions), await stage.thread(said)
    return await again(stage, thread.id, assistant_id=assistant.id, **fields)


async def again(stage: Stage, thread: ThreadId, **fields: Any) -> Run:
    """Another run on a thread, that waits for the model's first word."""
    accepted = await runs.create(stage.engine, PROJECT, thread, NewRun(**fields))
    await stage.settle()
    return accepted.run


def turn(stage: Stage) -> Turn:
    """What the model was asked last."""
    return stage.model.turns[-1]


def heard(stage: Stage) -> str:
    """What the model was told of its last call."""
    return message_text(turn(stage).request.messages[-1])


async def stored(stage: Stage, run: Run) -> Run:
    """The run as the store has it now."""
    found = await stage.store.get(Run, PROJECT, run.id)
    assert found is not None
    return found


def has_status(stage: Stage, run: Run, status: RunStatus) -> Condition:
    """Whether the stored run has come so far."""

    async def holds() -> bool:
        return (await stored(stage, run)).status is status

    return holds


async def told(stage: Stage, run: Run) -> list[str]:
    """The names of the run's stored events."""
    return [one.event.name.value for one in await stage.store.events(run.id)]


async def deltas(stage: Stage, run: Run) -> list[Delta]:
    """All deltas of a run that has ended or waits."""
    tail = stage.ports.log.tail(run.id)
    return [entry async for batch in tail for entry in batch if not isinstance(entry, StoredEvent)]
