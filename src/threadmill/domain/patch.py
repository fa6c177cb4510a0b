"""What a caller asks for when an assistant or a thread is made or changed.

In a patch `fields` names what the caller spoke of; the rest stays as it is. An explicit null is not spoken of: clients
that serialise what they left out as null must not wipe what they did not mean (behaviour.md 1.8).
"""

from dataclasses import dataclass, field

from threadmill.domain.assistant import Metadata
from threadmill.domain.message import NewMessage
from threadmill.domain.new_store import NewVectorStore
from threadmill.domain.tool import ResponseFormat, Tool, ToolResources


@dataclass(frozen=True, slots=True)
class NewAssistant:
    """A create-assistant request, defaults filled in (behaviour.md 6). `new_store`: make this one and search in it."""

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
    new_store: NewVectorStore | None = None


@dataclass(frozen=True, slots=True)
class AssistantPatch:
    """A modify-assistant request: `values` for the names in `fields`."""

    fields: frozenset[str]
    values: NewAssistant


@dataclass(frozen=True, slots=True)
class NewThread:
    """A create-thread request. `new_store`: make this one for the thread."""

    messages: tuple[NewMessage, ...] = ()
    metadata: Metadata = field(default_factory=dict[str, str])
    tool_resources: ToolResources = field(default_factory=ToolResources)
    new_store: NewVectorStore | None = None


@dataclass(frozen=True, slots=True)
class ThreadPatch:
    """A modify-thread request; None: not spoken of."""

    metadata: Metadata | None = None
    tool_resources: ToolResources | None = None
