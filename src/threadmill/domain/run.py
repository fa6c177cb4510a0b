"""The run, its nine statuses and the table of what leads where (behaviour.md 1). `decide.py` applies the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from threadmill.domain import command as c
from threadmill.domain.assistant import Metadata
from threadmill.domain.ids import AssistantId, Instant, ProjectId, RunId, ThreadId
from threadmill.domain.message import NewMessage
from threadmill.domain.model_options import ModelOptions
from threadmill.domain.outcome import LastError, RunIncompleteReason, Usage
from threadmill.domain.run_record import Span
from threadmill.domain.tool import FunctionCall, ResponseFormat, Tool, ToolChoice, ToolResources


class RunStatus(StrEnum):
    """The wire's nine."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"


RUN_TRANSITIONS: Mapping[RunStatus, Mapping[type[c.RunCommand], RunStatus]] = {
    RunStatus.QUEUED: {
        c.Start: RunStatus.IN_PROGRESS,
        c.Cancel: RunStatus.CANCELLING,
        c.Expire: RunStatus.EXPIRED,
        c.Fail: RunStatus.FAILED,
    },
    RunStatus.IN_PROGRESS: {
        c.RequireAction: RunStatus.REQUIRES_ACTION,
        c.Complete: RunStatus.COMPLETED,
        c.StopIncomplete: RunStatus.INCOMPLETE,
        c.Fail: RunStatus.FAILED,
        c.Cancel: RunStatus.CANCELLING,
        c.Expire: RunStatus.EXPIRED,
        c.Rescue: RunStatus.QUEUED,
    },
    RunStatus.REQUIRES_ACTION: {
        c.SubmitToolOutputs: RunStatus.QUEUED,
        c.Cancel: RunStatus.CANCELLING,
        c.Expire: RunStatus.EXPIRED,
    },
    # Cancel wins every race: the client was already told `cancelling` (ADR-0013).
    RunStatus.CANCELLING: {
        c.FinishCancel: RunStatus.CANCELLED,
        c.Complete: RunStatus.CANCELLED,
        c.StopIncomplete: RunStatus.CANCELLED,
        c.Fail: RunStatus.CANCELLED,
        c.Expire: RunStatus.CANCELLED,
        c.RequireAction: RunStatus.CANCELLED,
        c.Rescue: RunStatus.CANCELLED,
    },
    RunStatus.CANCELLED: {},
    RunStatus.FAILED: {},
    RunStatus.COMPLETED: {},
    RunStatus.INCOMPLETE: {},
    RunStatus.EXPIRED: {},
}

TERMINAL = frozenset(status for status, ways in RUN_TRANSITIONS.items() if not ways)
"""Statuses that are never left."""

ACTIVE = frozenset(RunStatus) - TERMINAL
"""Statuses that lock the thread."""


@dataclass(frozen=True, slots=True)
class Truncation:
    """`last_messages` None means `auto`: drop from the middle to fit."""

    last_messages: int | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A create-run request. None means "as the assistant has it"; explicit nulls arrive as None too (behaviour.md 1.8)."""

    assistant_id: AssistantId
    model: str | None = None
    instructions: str | None = None
    additional_instructions: str | None = None
    additional_messages: tuple[NewMessage, ...] = ()
    tools: tuple[Tool, ...] | None = None
    metadata: Metadata = field(default_factory=dict[str, str])
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation: Truncation = field(default_factory=Truncation)
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    response_format: ResponseFormat | None = None
    tool_resources: ToolResources | None = None
    options: ModelOptions = field(default_factory=ModelOptions)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as stored.

    `usage` counts up turn by turn and is shown once the run is terminal. `turns` counts model turns begun. `epoch` is
    the fence: it rises with each claim, and a worker writes only under the epoch it claimed (ADR-0004). `lease_until`
    is the Instant until which the claim holds, None when nobody executes the run. `rescues` counts how often it went
    back to the queue since it last got on, planned stops of its worker apart. `record`: what it did, and when; it says
    nothing of what the run is, so two runs that differ by it alone are equal, and events show the newest.
    """

    id: RunId
    project: ProjectId
    thread_id: ThreadId
    assistant_id: AssistantId
    created_at: Instant
    model: str
    status: RunStatus = RunStatus.QUEUED
    instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_resources: ToolResources = field(default_factory=ToolResources)
    metadata: Metadata = field(default_factory=dict[str, str])
    temperature: float = 1.0
    top_p: float = 1.0
    reasoning_effort: str | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation: Truncation = field(default_factory=Truncation)
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    options: ModelOptions = field(default_factory=ModelOptions)
    expires_at: Instant | None = None
    started_at: Instant | None = None
    cancelled_at: Instant | None = None
    failed_at: Instant | None = None
    completed_at: Instant | None = None
    required_action: tuple[FunctionCall, ...] = ()
    last_error: LastError | None = None
    incomplete_reason: RunIncompleteReason | None = None
    usage: Usage = field(default_factory=Usage)
    turns: int = 0
    epoch: int = 0
    lease_until: Instant | None = None
    rescues: int = 0
    record: tuple[Span, ...] = field(default=(), compare=False)
    version: int = 1

    @property
    def is_terminal(self) -> bool:
        """Whether the status is never left again."""
        return self.status in TERMINAL
