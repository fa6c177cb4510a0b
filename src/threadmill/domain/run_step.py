"""The run step and its status table (behaviour.md 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from threadmill.domain.ids import AssistantId, Instant, MessageId, ProjectId, RunId, RunStepId, ThreadId
from threadmill.domain.tool import ToolCall


class RunStepStatus(StrEnum):
    """Same meaning as the run's."""

    IN_PROGRESS = "in_progress"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    EXPIRED = "expired"


RUN_STEP_TRANSITIONS: Mapping[RunStepStatus, frozenset[RunStepStatus]] = {
    RunStepStatus.IN_PROGRESS: frozenset(RunStepStatus) - {RunStepStatus.IN_PROGRESS},
    RunStepStatus.CANCELLED: frozenset(),
    RunStepStatus.FAILED: frozenset(),
    RunStepStatus.COMPLETED: frozenset(),
    RunStepStatus.EXPIRED: frozenset(),
}


class RunStepType(StrEnum):
    """What the model produced."""

    MESSAGE_CREATION = "message_creation"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent. `cached_tokens` is part of prompt, `reasoning_tokens` part of completion (behaviour.md 0.2)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """The sum, member by member."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class ErrorCode(StrEnum):
    """`last_error.code`. Steps know only the first two (behaviour.md 1.7)."""

    SERVER_ERROR = "server_error"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INVALID_PROMPT = "invalid_prompt"


@dataclass(frozen=True, slots=True)
class LastError:
    """Why a run or step failed, in words for the client."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class RunStep:
    """A run step as stored. `message_id` is set for message_creation, `tool_calls` for tool_calls.

    """

    id: RunStepId
    project: ProjectId
    thread_id: ThreadId
    run_id: RunId
    assistant_id: AssistantId
    created_at: Instant
    type: RunStepType
    status: RunStepStatus = RunStepStatus.IN_PROGRESS
    expires_at: Instant | None = None
    cancelled_at: Instant | None = None
    completed_at: Instant | None = None
    failed_at: Instant | None = None
    expired_at: Instant | None = None
    last_error: LastError | None = None
    message_id: MessageId | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    version: int = 1
