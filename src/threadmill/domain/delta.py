"""Deltas: pieces of what is open while a run executes, told to who watches, never stored (behaviour.md 3.4, ADR-0005).

The closing event carries the whole; whoever adds up the deltas of a part must get exactly that.
"""

from dataclasses import dataclass
from typing import TypeAlias

from threadmill.domain.message import Annotation, ImageFilePart, Message
from threadmill.domain.run_step import RunStep
from threadmill.domain.tool import CodeOutput, ToolCall


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text pieces of one part of the open message, in order. `first`: the part begins with them."""

    message: Message
    index: int
    pieces: tuple[str, ...]
    first: bool = False


@dataclass(frozen=True, slots=True)
class AnnotationDelta:
    """A marker of one text part, whole, with its annotation, which is the part's number `number` from 0."""

    message: Message
    index: int
    number: int
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class ImageDelta:
    """A picture is a part of the open message."""

    message: Message
    index: int
    part: ImageFilePart


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """Pieces of a refusal part of the open message."""

    message: Message
    index: int
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """A call appears in the open step, what it is about still empty."""

    step: RunStep
    index: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """Pieces of one function call's arguments."""

    step: RunStep
    index: int
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeInputDelta:
    """Pieces of the code of one code_interpreter call."""

    step: RunStep
    index: int
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeOutputDelta:
    """A piece of output number `number` of a code_interpreter call: logs to be appended, or a picture."""

    step: RunStep
    index: int
    number: int
    output: CodeOutput


Delta: TypeAlias = (
    TextDelta
    | AnnotationDelta
    | ImageDelta
    | RefusalDelta
    | ToolCallStarted
    | ArgumentsDelta
    | CodeInputDelta
    | CodeOutputDelta
)
