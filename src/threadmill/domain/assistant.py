"""The assistant: instructions, model and tools a run starts from (behaviour.md 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from threadmill.domain.ids import AssistantId, Instant, ProjectId
from threadmill.domain.tool import ResponseFormat, Tool, ToolResources

Metadata: TypeAlias = Mapping[str, str]
"""Up to 16 pairs; keys up to 64, values up to 512 characters. Order is kept."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant as stored. `version` counts writes and guards them."""

    id: AssistantId
    project: ProjectId
    created_at: Instant
    model: str
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    top_p: float = 1.0
    temperature: float = 1.0
    reasoning_effort: str | None = None
    tool_resources: ToolResources = field(default_factory=ToolResources)
    metadata: Metadata = field(default_factory=dict[str, str])
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    version: int = 1
