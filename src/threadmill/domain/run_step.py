"""The run step and its status table (behaviour.md 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from threadmill.domain.ids import AssistantId, Instant, MessageId, ProjectId, RunId, RunStepId, ThreadId
from threadmill.domain.outcome import LastError, Usage
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
class RunStep:
    """A run step as stored. `message_id` is set for message_creation, `tool_calls` for tool_calls."""

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
