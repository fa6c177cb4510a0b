"""The model: Chat-like requests in, pieces of an answer out."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from threadmill.domain.ids import ProjectId
from threadmill.domain.message import ContentPart
from threadmill.domain.model_options import ModelOptions
from threadmill.domain.outcome import ErrorCode, Usage
from threadmill.domain.tool import FunctionCall, FunctionTool, ResponseFormat, ToolChoice


class PromptRole(StrEnum):
    """Roles upstreams know."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture of `size` bytes that are read while the request is sent: all pictures of a prompt at once are too many.

    `read` begins anew with each call and raises Unavailable.
    """

    media_type: str
    size: int
    read: Callable[[], AsyncGenerator[bytes]]
    detail: str = "auto"


PromptPart: TypeAlias = ContentPart | StoredPicture


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt. `tool_calls` only with ASSISTANT; `tool_call_id` only with TOOL, whose parts are one text."""

    role: PromptRole
    parts: tuple[PromptPart, ...] = ()
    tool_calls: tuple[FunctionCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything one turn asks of a model. None means: leave it to the upstream. Token limits count tokens.

    `project` is told to no upstream: among those who wait for one it is fair by project.
    """

    model: str
    messages: tuple[PromptMessage, ...]
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None
    options: ModelOptions = field(default_factory=ModelOptions)
    project: ProjectId | None = None


class FinishReason(StrEnum):
    """Why the model stopped, as far as upstreams tell."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A piece of a tool call: `index` says which; id and name come with the first piece, arguments grow."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class RefusalPiece:
    """A piece of a refusal."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """All thoughts that were hidden from the answer. Comes once, before Usage; is counted and never shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The model stopped."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class FailedAttempts:
    """Why the model was asked again before it answered. Comes first, if at all; the reasons are safe to show."""

    reasons: tuple[str, ...]


Piece: TypeAlias = str | ToolCallPiece | RefusalPiece | ReasoningPiece | FailedAttempts | Finish | Usage
"""A plain string is answer text: the hot path carries no wrapper."""


class ModelError(Exception):
    """The upstream failed. `message` is safe to show to the client: no key, no URL credentials, no prompt."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message: str = message


class ContextTooLong(ModelError):
    """The prompt does not fit the model's context window."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_PROMPT, message)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model on offer. `context_window` in tokens, None if unknown; `upstream`: the name of what answers for it."""

    id: str
    created: int
    owned_by: str
    context_window: int | None = None
    upstream: str = ""


class Model(Protocol):
    """All models behind one door; routing by name is the adapter's business."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Piece], None]:
        """Pieces in order, batched as they arrived from the network. Closing the generator closes the connection.

        Raises ModelError or ContextTooLong. Retries happen inside, before the first piece only (design 3.11).
        """
        ...

    async def list(self) -> Sequence[ModelInfo]:
        """The models on offer."""
        ...

    def get_info(self, model: str) -> ModelInfo:
        """What is known about a model's name; never fails, unknown is unknown."""
        ...

    async def ready(self) -> None:
        """Return when the upstream answers; raise ModelError when it does not."""
        ...
