"""The thread: an ordered conversation (behaviour.md 5)."""

from dataclasses import dataclass, field

from threadmill.domain.assistant import Metadata
from threadmill.domain.ids import Instant, ProjectId, ThreadId
from threadmill.domain.tool import ToolResources


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as stored. At most one run is active on it; the store enforces that (ADR-0004)."""

    id: ThreadId
    project: ProjectId
    created_at: Instant
    metadata: Metadata = field(default_factory=dict[str, str])
    tool_resources: ToolResources = field(default_factory=ToolResources)
    version: int = 1
