"""What the model has said in the present turn: text, refusal, calls. Pieces are collected, joined once at a commit."""

import json
from dataclasses import dataclass, field, replace

from threadmill.domain.decide import Progress
from threadmill.domain.ids import CallId
from threadmill.domain.message import ContentPart, RefusalPart, TextPart
from threadmill.domain.run_step import RunStepType
from threadmill.domain.tool import FunctionCall


@dataclass(slots=True)
class CallDraft:
    """A function call while its arguments grow."""

    id: CallId
    name: str
    pieces: list[str] = field(default_factory=list[str])

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces)

    def has_valid_arguments(self) -> bool:
        """Whether the arguments are a JSON object, as every client expects."""
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


@dataclass(slots=True)
class Draft:
    """Text and refusal of the open message, calls of the open step; each empty when nothing of it was said."""

    text: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    calls: list[CallDraft] = field(default_factory=list[CallDraft])

    def content(self) -> tuple[ContentPart, ...]:
        """The message's parts: text first, then a refusal. A refusal that began first comes first on the wire too."""
        parts: list[ContentPart] = []
        if self.text:
            parts.append(TextPart("".join(self.text)))
        if self.refusal:
            parts.append(RefusalPart("".join(self.refusal)))
        return tuple(parts)

    def function_calls(self) -> tuple[FunctionCall, ...]:
        """The calls as they stand."""
        return tuple(FunctionCall(call.id, call.name, call.arguments) for call in self.calls)

    def fold_into(self, progress: Progress) -> Progress:
        """What is open, with the draft's content: what a client would see if it ended now."""
        if progress.message is not None and (self.text or self.refusal):
            return replace(progress, message=replace(progress.message, content=self.content()))
        if progress.step is not None and progress.step.type is RunStepType.TOOL_CALLS and self.calls:
            return replace(progress, step=replace(progress.step, tool_calls=self.function_calls()))
        return progress

    def clear(self) -> None:
        """Begin anew, at the start of a turn."""
        self.text, self.refusal, self.calls = [], [], []
