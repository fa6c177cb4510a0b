"""The message, its content parts and its status table (behaviour.md 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from threadmill.domain.assistant import Metadata
from threadmill.domain.ids import AssistantId, FileId, Instant, MessageId, ProjectId, RunId, ThreadId


class MessageRole(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"


class MessageStatus(StrEnum):
    """Shown in events; the REST object hides it at the service, we send it last (behaviour.md 0.1)."""

    IN_PROGRESS = "in_progress"
    INCOMPLETE = "incomplete"
    COMPLETED = "completed"


MESSAGE_TRANSITIONS: Mapping[MessageStatus, frozenset[MessageStatus]] = {
    MessageStatus.IN_PROGRESS: frozenset({MessageStatus.INCOMPLETE, MessageStatus.COMPLETED}),
    MessageStatus.INCOMPLETE: frozenset(),
    MessageStatus.COMPLETED: frozenset(),
}


class IncompleteReason(StrEnum):
    """Why a message is incomplete."""

    CONTENT_FILTER = "content_filter"
    MAX_TOKENS = "max_tokens"
    RUN_CANCELLED = "run_cancelled"
    RUN_EXPIRED = "run_expired"
    RUN_FAILED = "run_failed"


@dataclass(frozen=True, slots=True)
class Annotation:
    """A citation or file path inside a text; `[start_index, end_index)` counted in characters of the value."""

    type: str
    text: str
    start_index: int
    end_index: int
    file_id: FileId


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text with its annotations."""

    value: str
    annotations: tuple[Annotation, ...] = ()
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ImageUrlPart:
    """A picture by URL; the URL is passed to the model, never fetched here."""

    url: str
    detail: str = "auto"
    type: Literal["image_url"] = "image_url"


@dataclass(frozen=True, slots=True)
class ImageFilePart:
    """A picture by uploaded file."""

    file_id: FileId
    detail: str = "auto"
    type: Literal["image_file"] = "image_file"


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The model declined to answer, and said so."""

    refusal: str
    type: Literal["refusal"] = "refusal"


ContentPart: TypeAlias = TextPart | ImageUrlPart | ImageFilePart | RefusalPart


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file handed to tools with a message. `tools` holds "file_search" and/or "code_interpreter", as given."""

    file_id: FileId | None
    tools: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a caller says: one message to be added to a thread."""

    role: MessageRole
    content: tuple[ContentPart, ...]
    attachments: tuple[Attachment, ...] = ()
    metadata: Metadata = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Message:
    """A message as stored. `assistant_id` and `run_id` are set on what a run wrote."""

    id: MessageId
    project: ProjectId
    thread_id: ThreadId
    created_at: Instant
    role: MessageRole
    content: tuple[ContentPart, ...]
    status: MessageStatus = MessageStatus.COMPLETED
    assistant_id: AssistantId | None = None
    run_id: RunId | None = None
    incomplete_reason: IncompleteReason | None = None
    completed_at: Instant | None = None
    incomplete_at: Instant | None = None
    attachments: tuple[Attachment, ...] = ()
    metadata: Metadata = field(default_factory=dict[str, str])
    version: int = 1
