"""fold(): run, steps and messages rebuilt from events; deltas into the open message and step.

The same code serves the live run and a replay, so the two cannot disagree (invariant 3).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from threadmill.domain.event import Event, TextDelta
from threadmill.domain.ids import MessageId, RunStepId
from threadmill.domain.message import Message, TextPart
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread


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
            case Thread():
                pass
    return Folded(run, steps, messages)


def fold_text(message: Message, delta: TextDelta) -> Message:
    """The message with the delta's pieces joined on; a part that does not exist yet is begun."""
    parts = list(message.content)
    text = "".join(delta.pieces)
    if delta.index == len(parts):
        parts.append(TextPart(text))
    else:
        part = parts[delta.index]
        if isinstance(part, TextPart):
            parts[delta.index] = replace(part, value=part.value + text)
    return replace(message, content=tuple(parts))
