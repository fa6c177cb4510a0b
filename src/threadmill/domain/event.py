"""Events: facts that happened to a run, named as on the wire (behaviour.md 3.2).

An event carries the object as it stands after the fact, so a reader needs no other source. Deltas are not events of
the log (see `delta.py`): they live while the run executes and are folded into the closing event (ADR-0005).
"""

from dataclasses import dataclass
from enum import StrEnum

from threadmill.domain.message import Message
from threadmill.domain.run import TERMINAL, Run, RunStatus
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread


class EventName(StrEnum):
    """Every event name of the wire that is stored."""

    THREAD_CREATED = "thread.created"
    RUN_CREATED = "thread.run.created"
    RUN_QUEUED = "thread.run.queued"
    RUN_IN_PROGRESS = "thread.run.in_progress"
    RUN_REQUIRES_ACTION = "thread.run.requires_action"
    RUN_COMPLETED = "thread.run.completed"
    RUN_INCOMPLETE = "thread.run.incomplete"
    RUN_FAILED = "thread.run.failed"
    RUN_CANCELLING = "thread.run.cancelling"
    RUN_CANCELLED = "thread.run.cancelled"
    RUN_EXPIRED = "thread.run.expired"
    STEP_CREATED = "thread.run.step.created"
    STEP_IN_PROGRESS = "thread.run.step.in_progress"
    STEP_COMPLETED = "thread.run.step.completed"
    STEP_FAILED = "thread.run.step.failed"
    STEP_CANCELLED = "thread.run.step.cancelled"
    STEP_EXPIRED = "thread.run.step.expired"
    MESSAGE_CREATED = "thread.message.created"
    MESSAGE_IN_PROGRESS = "thread.message.in_progress"
    MESSAGE_COMPLETED = "thread.message.completed"
    MESSAGE_INCOMPLETE = "thread.message.incomplete"


@dataclass(frozen=True, slots=True)
class Event:
    """One fact: its name and the object right after it. The name says which kind of object `subject` is."""

    name: EventName
    subject: Thread | Run | RunStep | Message


STREAM_ENDS = TERMINAL | {RunStatus.REQUIRES_ACTION}
"""Statuses after which the streams of the wire have nothing more to tell (style invariant 5)."""


def ends_stream(event: Event) -> bool:
    """Whether nothing follows it in a stream of the wire but `done`."""
    return isinstance(event.subject, Run) and event.subject.status in STREAM_ENDS


def ends_run(event: Event) -> bool:
    """Whether nothing follows it at all."""
    return isinstance(event.subject, Run) and event.subject.is_terminal
