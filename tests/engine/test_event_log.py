"""The log that readers of a run hear it from."""

from tests.support.stage import PROJECT, Stage
from threadmill.adapters.event_log.local import LocalEventLog
from threadmill.domain.cache_budget import CacheBudget
from threadmill.domain.delta import ImageDelta, TextDelta
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import FileId, MessageId, RunId, ThreadId
from threadmill.domain.message import (
    ImageFilePart,
    Message,
    MessageRole,
    TextPart,
)
from threadmill.engine.ports.store import StoredEvent


async def test_closed_logs_are_weighed_and_make_room_for_each_other(stage: Stage) -> None:
    budget = CacheBudget(100_000)
    log = LocalEventLog(stage.store, budget=budget)
    message = Message(
        MessageId("msg_1"), PROJECT, ThreadId("thread_1"), 1, MessageRole.ASSISTANT, (TextPart("x" * 20_000),)
    )
    for number in range(6):
        run = RunId(f"run_{number}")
        log.publish(run, [StoredEvent(1, Event(EventName.MESSAGE_COMPLETED, message))])
        log.publish_delta(run, TextDelta(message, 0, ("y" * 10_000,)))
        log.publish_delta(run, ImageDelta(message, 0, ImageFilePart(FileId("file_1"))))
        log.close(run)
    assert 60_000 < budget.sizes()["closed_logs"] <= 100_000


async def test_a_closed_log_of_countless_deltas_is_not_kept(stage: Stage) -> None:
    budget = CacheBudget()
    log = LocalEventLog(stage.store, budget=budget)
    message = Message(MessageId("msg_1"), PROJECT, ThreadId("thread_1"), 1, MessageRole.ASSISTANT, ())
    log.publish(RunId("run_1"), [StoredEvent(1, Event(EventName.MESSAGE_CREATED, message))])
    for _ in range(20_000):
        log.publish_delta(RunId("run_1"), TextDelta(message, 0, ("y",)))
    log.close(RunId("run_1"))
    assert budget.sizes() == {"closed_logs": 0}
