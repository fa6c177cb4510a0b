"""fold(): run, steps and messages rebuilt from a run's log (invariant 3 of the model test)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from threadmill.domain.event import Event
from threadmill.domain.ids import MessageId, RunStepId
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep


@dataclass(frozen=True, slots=True)
class Folded:
    """What a run's log says: the run as last seen, its steps and messages in order of appearance."""

    run: Run | None = None
    steps: Mapping[RunStepId, RunStep] = field(default_factory=dict[RunStepId, RunStep])
    messages: Mapping[MessageId, Message] = field(default_factory=dict[MessageId, Message])


def fold(events: Iterable[Event], start: Folded | None = None) -> Folded:
    """Apply `events` in order on top of `start`, from nothing by default."""
    run = start.run if start else None
    steps = dict(start.steps) if start else {}
    messages = dict(start.messages) if start else {}
    for event in events:
        match event.subject:
            case Run() as subject:
                run = subject
            case RunStep() as subject:
                steps[subject.id] = subject
            case Message() as subject:
                messages[subject.id] = subject
            case _:  # a thread is no part of its runs
                pass
    return Folded(run, steps, messages)
