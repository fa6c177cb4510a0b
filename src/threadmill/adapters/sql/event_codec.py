"""A run's log <-> rows. An event stores what may change; what never does is read from the run's row.

An event that shows the same object as the one before it stores nothing. Logs of older versions hold whole objects, and
are read as before.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeAlias

from threadmill.adapters.sql.codec import arguments_reader, decode_json, encode
from threadmill.domain.event import Event, EventName
from threadmill.domain.ids import RunId
from threadmill.domain.message import Message
from threadmill.domain.run import Run
from threadmill.domain.run_step import RunStep
from threadmill.domain.thread import Thread
from threadmill.engine.ports.store import StoredEvent

EventRow: TypeAlias = tuple[int, str, bytes]
"""Number, name, data."""

_CHANGING = frozenset(
    {
        "status",
        "metadata",
        "expires_at",
        "started_at",
        "cancelled_at",
        "failed_at",
        "completed_at",
        "required_action",
        "last_error",
        "incomplete_reason",
        "usage",
        "turns",
        "epoch",
        "lease_until",
        "rescues",
        "version",
    }
)
_FIXED = frozenset(field.name for field in fields(Run)) - _CHANGING
"""Fields no command changes: every event of a run, and its row, have the same."""

_OF_THE_RUN = frozenset({"project", "thread_id", "run_id", "assistant_id"})
"""What steps and messages of a run have from it."""


def event_rows(run_id: RunId, first: int, events: Sequence[Event]) -> list[EventRow]:
    """The rows of events that are appended at number `first`."""
    rows: list[EventRow] = []
    before, is_repeated = None, False
    for seq, event in enumerate(events, first):
        # Never two in a row: a reader looks one event back.
        is_repeated = event.subject is before and not is_repeated
        rows.append((seq, event.name.value, b"" if is_repeated else _data(run_id, event.subject)))
        before = event.subject
    return rows


def _data(run_id: RunId, subject: Thread | Run | RunStep | Message) -> bytes:
    match subject:
        case Run() if subject.id == run_id:
            return encode(subject, _FIXED)
        case RunStep() | Message() if subject.run_id == run_id:
            return encode(subject, _OF_THE_RUN)
        case _:
            return encode(subject)


def read_events(run: Run, rows: Sequence[EventRow], after: int = 0) -> list[StoredEvent]:
    """The events behind number `after` of the run's log, of which `rows` begin with that one or earlier."""
    found: list[StoredEvent] = []
    subject: Thread | Run | RunStep | Message | None = None
    for seq, name, data in rows:
        if data:
            subject = _subject(run, name, data)
        if seq > after and subject is not None:
            found.append(StoredEvent(seq, Event(EventName(name), subject)))
    return found


def _subject(run: Run, name: str, data: bytes) -> Thread | Run | RunStep | Message:
    kind = event_kind(name)
    value: dict[str, Any] = decode_json(data)
    arguments = arguments_reader(kind)(value)
    if "project" not in value:
        arguments |= _inherited(run, kind)
    return kind(**arguments)


def _inherited(run: Run, kind: type[Thread | Run | RunStep | Message]) -> dict[str, Any]:
    if kind is Run:
        return {name: getattr(run, name) for name in _FIXED}
    return {"project": run.project, "thread_id": run.thread_id, "run_id": run.id, "assistant_id": run.assistant_id}


def event_kind(event_name: str) -> type[Thread] | type[Run] | type[RunStep] | type[Message]:
    """What kind of object an event of this name carries."""
    if event_name.startswith("thread.message."):
        return Message
    if event_name.startswith("thread.run.step."):
        return RunStep
    return Run if event_name.startswith("thread.run.") else Thread
