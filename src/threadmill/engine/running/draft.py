"""What the model has said in the present turn: text, pictures, refusal, calls. Pieces are joined once, at a commit."""

import json
from dataclasses import dataclass, field
from typing import TypeAlias

from threadmill.domain.decide import RunState
from threadmill.domain.ids import CallId
from threadmill.domain.message import Annotation, ContentPart, ImageFilePart, RefusalPart, TextPart
from threadmill.domain.replacement import replace
from threadmill.domain.run_step import RunStepType
from threadmill.domain.tool import (
    CodeInterpreterCall,
    CodeOutput,
    FileSearchCall,
    FunctionCall,
    RankingOptions,
    SearchResult,
    ToolCall,
)
from threadmill.engine.prompt.code_argument_parser import CodeArgumentParser
from threadmill.engine.prompt.file_search_prompt import parse_queries


@dataclass(slots=True)
class FunctionDraft:
    """A function call while its arguments grow."""

    id: CallId
    name: str
    pieces: list[str] = field(default_factory=list[str])

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces)

    def call(self) -> FunctionCall:
        """The call as it stands."""
        return FunctionCall(self.id, self.name, self.arguments)

    @property
    def raw_text(self) -> str:
        """What the model wrote for it."""
        return self.name + self.arguments

    def has_valid_arguments(self) -> bool:
        """Whether the arguments are a JSON object, as every client expects."""
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


@dataclass(slots=True)
class CodeDraft:
    """A code_interpreter call while its code grows, then while it runs. `notes` are lines for the model alone.

    `error`: why the code could not be run.
    """

    id: CallId
    reader: CodeArgumentParser = field(default_factory=CodeArgumentParser)
    outputs: list[CodeOutput] = field(default_factory=list[CodeOutput])
    notes: list[str] = field(default_factory=list[str])
    error: str | None = None

    def call(self) -> CodeInterpreterCall:
        """The call as it stands."""
        return CodeInterpreterCall(self.id, self.reader.text, tuple(self.outputs), "\n".join(self.notes))

    @property
    def raw_text(self) -> str:
        """What the model wrote for it."""
        return self.reader.text

    def add(self, output: CodeOutput) -> int:
        """Take one more output, logs behind logs as one; the number of the output it went to."""
        last = self.outputs[-1] if self.outputs else None
        if output.logs is not None and last is not None and last.logs is not None:
            self.outputs[-1] = CodeOutput(logs=last.logs + output.logs)
        else:
            self.outputs.append(output)
        return len(self.outputs) - 1


@dataclass(slots=True)
class SearchDraft:
    """A file_search call while its arguments grow, then while it is answered. `notes` are lines for the model alone.

    `error`: why nothing could be searched.
    """

    id: CallId
    number: int
    ranking: RankingOptions
    pieces: list[str] = field(default_factory=list[str])
    results: tuple[SearchResult, ...] = ()
    notes: list[str] = field(default_factory=list[str])
    error: str | None = None

    def call(self) -> FileSearchCall:
        """The call as it stands."""
        return FileSearchCall(self.id, self.ranking, self.results, self.queries, "\n".join(self.notes), self.number)

    @property
    def queries(self) -> tuple[str, ...]:
        """What is asked for, once the arguments are whole."""
        return parse_queries(self.raw_text)

    @property
    def raw_text(self) -> str:
        """What the model wrote for it."""
        return "".join(self.pieces)


CallDraft: TypeAlias = FunctionDraft | CodeDraft | SearchDraft


@dataclass(slots=True)
class Draft:
    """Parts of the open message, calls of the open step; each empty when nothing of it was said."""

    images: list[ImageFilePart] = field(default_factory=list[ImageFilePart])
    text: list[str] = field(default_factory=list[str])
    annotations: list[Annotation] = field(default_factory=list[Annotation])
    refusal: list[str] = field(default_factory=list[str])
    calls: list[CallDraft] = field(default_factory=list[CallDraft])

    def content(self) -> tuple[ContentPart, ...]:
        """The message's parts: pictures first, then text, then a refusal."""
        parts: list[ContentPart] = [*self.images]
        if self.text:
            parts.append(TextPart("".join(self.text), tuple(self.annotations)))
        if self.refusal:
            parts.append(RefusalPart("".join(self.refusal)))
        return tuple(parts)

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls as they stand."""
        return tuple(call.call() for call in self.calls)

    def merge_into(self, progress: RunState) -> RunState:
        """What is open, with the draft's content: what a client would see if it ended now."""
        if progress.message is not None and (content := self.content()):
            return replace(progress, message=replace(progress.message, content=content))
        if progress.step is not None and progress.step.type is RunStepType.TOOL_CALLS and self.calls:
            return replace(progress, step=replace(progress.step, tool_calls=self.tool_calls()))
        return progress

    def clear_message(self) -> None:
        """The message is closed; the calls behind it may still grow."""
        self.images, self.text, self.annotations, self.refusal = [], [], [], []

    def clear(self) -> None:
        """Begin anew, at the start of a turn."""
        self.clear_message()
        self.calls = []
