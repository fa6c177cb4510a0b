"""What a run did and how long each part took: its record. Stored with the run, in the write sets that exist (design 3.16)."""

from dataclasses import dataclass, field
from typing import Literal, NewType, TypeAlias

from threadmill.domain.outcome import Usage

Milliseconds = NewType("Milliseconds", int)
"""Since the epoch."""

MAX_SPANS = 400
"""Of a run's record; a run that has more keeps its first ones."""


@dataclass(frozen=True, slots=True)
class ModelSpan:
    """One question to a model and its answer.

    `upstream`: the operator's name of who answered. `messages` were sent, `left_out` had no room. `failed_attempts`: why
    it was asked again, before its first piece. `finish` is None if the answer did not end by itself; `error` says why.
    """

    began_at: Milliseconds
    ended_at: Milliseconds
    upstream: str
    first_piece_at: Milliseconds | None = None
    messages: int = 0
    left_out: int = 0
    finish: str | None = None
    usage: Usage = field(default_factory=Usage)
    failed_attempts: tuple[str, ...] = ()
    error: str | None = None
    type: Literal["model"] = "model"


@dataclass(frozen=True, slots=True)
class ToolSpan:
    """One call of a tool of this server's own. `error`: why it gave no result, None if it did."""

    began_at: Milliseconds
    ended_at: Milliseconds
    call_id: str
    tool: str
    error: str | None = None
    type: Literal["tool"] = "tool"


Span: TypeAlias = ModelSpan | ToolSpan


def with_span(record: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """The record with one more span, if it has room."""
    return (*record, span) if len(record) < MAX_SPANS else record
