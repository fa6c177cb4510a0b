"""Commands: intents given to `decide`. Run commands move the run's status; step commands open and close its parts."""

from dataclasses import dataclass
from typing import TypeAlias

from threadmill.domain.ids import MessageId, RunStepId
from threadmill.domain.message import ContentPart, IncompleteReason
from threadmill.domain.outcome import LastError, RunIncompleteReason, Usage
from threadmill.domain.tool import ToolCall, ToolOutput


@dataclass(frozen=True, slots=True)
class Start:
    """A worker begins to execute."""


@dataclass(frozen=True, slots=True)
class RequireAction:
    """The model called functions: hand them to the client. `calls` are all calls of the open step, in order."""

    calls: tuple[ToolCall, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class SubmitToolOutputs:
    """The client answers the required action."""

    outputs: tuple[ToolOutput, ...]


@dataclass(frozen=True, slots=True)
class Complete:
    """The model ended with a message."""


@dataclass(frozen=True, slots=True)
class StopIncomplete:
    """A token budget is spent."""

    reason: RunIncompleteReason


@dataclass(frozen=True, slots=True)
class Fail:
    """The run cannot go on."""

    error: LastError


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client wants it stopped."""


@dataclass(frozen=True, slots=True)
class FinishCancel:
    """Nobody executes it any more: the cancel is done."""


@dataclass(frozen=True, slots=True)
class Expire:
    """Its time is over."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """Its worker is gone: back to the queue, what was open is closed. `is_planned`: the worker left it on purpose."""

    is_planned: bool = False


RunCommand: TypeAlias = (
    Start
    | RequireAction
    | SubmitToolOutputs
    | Complete
    | StopIncomplete
    | Fail
    | Cancel
    | FinishCancel
    | Expire
    | Rescue
)


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """The model begins a text: a message_creation step and its message appear."""

    step_id: RunStepId
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class CloseMessage:
    """The text is whole, or cut for `incomplete`."""

    content: tuple[ContentPart, ...]
    usage: Usage
    incomplete: IncompleteReason | None = None


@dataclass(frozen=True, slots=True)
class OpenToolCalls:
    """The model begins tool calls: a tool_calls step appears, empty."""

    step_id: RunStepId


@dataclass(frozen=True, slots=True)
class CloseToolCalls:
    """All calls of the step were answered by this server. `error` set: the step ends failed."""

    calls: tuple[ToolCall, ...]
    usage: Usage
    error: LastError | None = None


StepCommand: TypeAlias = OpenMessage | CloseMessage | OpenToolCalls | CloseToolCalls
Command: TypeAlias = RunCommand | StepCommand
