"""Bodies of assistants, threads, messages and runs, and the query parameters of lists."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from threadmill.domain.error import Invalid
from threadmill.domain.ids import AssistantId, CallId, FileId, RunId
from threadmill.domain.message import (
    Attachment,
    ContentPart,
    ImageFilePart,
    ImageUrlPart,
    MessageRole,
    NewMessage,
    TextPart,
)
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.patch import AssistantPatch, NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import NewRun, Truncation
from threadmill.domain.tool import ResponseFormat, ToolOutput
from threadmill.wire.request import parts as p
from threadmill.wire.request.body import Body
from threadmill.wire.request.problem import bad_value, out_of_range

MAX_CONTENT = 256_000
MAX_PAGE, MAX_DIGITS = 100, 12
EMPTY_CONTENT = "Message content must be non-empty."

Detail = Literal["auto", "low", "high"]
Tokens = Annotated[int, Field(ge=1)]
"""The schema says 256 and more, the service took 16 (behaviour.md 0.13)."""


class _AssistantFields(Body):
    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    instructions: Annotated[str, Field(max_length=MAX_CONTENT)] | None = None
    tools: Annotated[list[p.ToolBody], Field(max_length=128)] | None = None
    tool_resources: p.ToolResourcesBody | None = None
    metadata: p.Metadata | None = None
    temperature: p.Temperature | None = None
    top_p: p.TopP | None = None
    reasoning_effort: p.ReasoningEffort | None = None
    response_format: p.ResponseFormatField | None = None

    def _values(self, model: str) -> NewAssistant:
        return NewAssistant(
            model=model,
            name=self.name,
            description=self.description,
            instructions=self.instructions,
            tools=p.tools_of(self.tools),
            top_p=1.0 if self.top_p is None else self.top_p,
            temperature=1.0 if self.temperature is None else self.temperature,
            reasoning_effort=self.reasoning_effort,
            tool_resources=p.resources_of(self.tool_resources),
            metadata=self.metadata or {},
            response_format=p.format_of(self.response_format) or ResponseFormat(),
        )


class CreateAssistant(_AssistantFields):
    """POST /assistants."""

    model: Annotated[str, Field(min_length=1)]

    def to_domain(self) -> NewAssistant:
        """Defaults filled in."""
        return self._values(self.model)


class ModifyAssistant(_AssistantFields):
    """POST /assistants/{id}."""

    model: Annotated[str, Field(min_length=1)] | None = None

    def to_domain(self) -> AssistantPatch:
        """What was spoken of."""
        return AssistantPatch(frozenset(self.model_fields_set), self._values(self.model or ""))


class TextBody(Body):
    """A text part."""

    type: Literal["text"]
    text: str

    def to_domain(self) -> TextPart:
        """As is."""
        return TextPart(self.text)


class ImageUrl(Body):
    """A picture's URL."""

    url: str
    detail: Detail | None = None


class ImageUrlBody(Body):
    """An image_url part."""

    type: Literal["image_url"]
    image_url: ImageUrl

    @field_validator("image_url")
    @classmethod
    def _is_a_url(cls, value: ImageUrl) -> ImageUrl:
        if not value.url.startswith(("http://", "https://", "data:image/")):
            text = f"Invalid 'content[].image_url.url'. Expected a valid URL, but got '{value.url[:80]}'."
            raise Invalid(text, param="content", code="invalid_value")
        return value

    def to_domain(self) -> ImageUrlPart:
        """Detail filled in (behaviour.md 4)."""
        return ImageUrlPart(self.image_url.url, self.image_url.detail or "auto")


class ImageFile(Body):
    """A picture's file."""

    file_id: str
    detail: Detail | None = None


class ImageFileBody(Body):
    """An image_file part."""

    type: Literal["image_file"]
    image_file: ImageFile

    def to_domain(self) -> ImageFilePart:
        """Detail filled in."""
        return ImageFilePart(FileId(self.image_file.file_id), self.image_file.detail or "auto")


PartBody = Annotated[TextBody | ImageUrlBody | ImageFileBody, Field(discriminator="type")]


class AttachmentTool(Body):
    """A tool an attachment is for."""

    type: Literal["code_interpreter", "file_search"]


class AttachmentBody(Body):
    """A file handed to tools."""

    file_id: str | None = None
    tools: list[AttachmentTool] | None = None

    def to_domain(self) -> Attachment:
        """As given."""
        tools = None if self.tools is None else tuple(tool.type for tool in self.tools)
        return Attachment(None if self.file_id is None else FileId(self.file_id), tools)


class CreateMessage(Body):
    """POST /threads/{id}/messages, and messages inside other bodies."""

    role: Literal["user", "assistant"]
    content: str | list[PartBody]
    attachments: list[AttachmentBody] | None = None
    metadata: p.Metadata | None = None

    @field_validator("content")
    @classmethod
    def _is_not_empty_or_huge(cls, value: str | list[Any]) -> str | list[Any]:
        texts = [value] if isinstance(value, str) else [part.text for part in value if isinstance(part, TextBody)]
        if not value or (isinstance(value, str) and not value.strip()) or any(not text for text in texts):
            raise Invalid(EMPTY_CONTENT, param="content", code="invalid_value")
        length = sum(map(len, texts))
        if length > MAX_CONTENT:
            text = f"Invalid 'content': string too long. Expected a string with maximum length {MAX_CONTENT}, but got a string with length {length} instead."
            raise Invalid(text, param="content", code="string_above_max_length")
        return value

    def to_domain(self) -> NewMessage:
        """A string is one text part."""
        content: tuple[ContentPart, ...]
        if isinstance(self.content, str):
            content = (TextPart(self.content),)
        else:
            content = tuple(part.to_domain() for part in self.content)
        attachments = tuple(body.to_domain() for body in self.attachments or ())
        return NewMessage(MessageRole(self.role), content, attachments, self.metadata or {})


class Modify(Body):
    """POST to a message or run: metadata only."""

    metadata: p.Metadata | None = None


class CreateThread(Body):
    """POST /threads."""

    messages: list[CreateMessage] | None = None
    metadata: p.Metadata | None = None
    tool_resources: p.ToolResourcesBody | None = None

    def to_domain(self) -> NewThread:
        """Defaults filled in."""
        messages = tuple(message.to_domain() for message in self.messages or ())
        return NewThread(messages, self.metadata or {}, p.resources_of(self.tool_resources))


class ModifyThread(Body):
    """POST /threads/{id}."""

    metadata: p.Metadata | None = None
    tool_resources: p.ToolResourcesBody | None = None

    def to_domain(self) -> ThreadPatch:
        """What was spoken of."""
        resources = None if self.tool_resources is None else self.tool_resources.to_domain()
        return ThreadPatch(self.metadata, resources)


class TruncationBody(Body):
    """`truncation_strategy`."""

    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Field(ge=1)] | None = None

    def to_domain(self) -> Truncation:
        """None of last_messages is auto."""
        if self.type == "auto":
            return Truncation()
        if self.last_messages is None:
            param = "truncation_strategy.last_messages"
            raise Invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
        return Truncation(self.last_messages)


class _RunFields(Body):
    assistant_id: str
    model: Annotated[str, Field(min_length=1)] | None = None
    instructions: Annotated[str, Field(max_length=MAX_CONTENT)] | None = None
    tools: Annotated[list[p.ToolBody], Field(max_length=20)] | None = None
    metadata: p.Metadata | None = None
    temperature: p.Temperature | None = None
    top_p: p.TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    truncation_strategy: TruncationBody | None = None
    tool_choice: p.ToolChoiceField | None = None
    parallel_tool_calls: bool | None = None
    response_format: p.ResponseFormatField | None = None

    def _shared(self) -> dict[str, Any]:
        return {
            "assistant_id": AssistantId(self.assistant_id),
            "model": self.model,
            "instructions": self.instructions,
            "tools": None if self.tools is None else p.tools_of(self.tools),
            "metadata": self.metadata or {},
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_prompt_tokens": self.max_prompt_tokens,
            "max_completion_tokens": self.max_completion_tokens,
            "truncation": Truncation() if self.truncation_strategy is None else self.truncation_strategy.to_domain(),
            "tool_choice": p.choice_of(self.tool_choice),
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "response_format": p.format_of(self.response_format),
        }


class CreateRun(_RunFields):
    """POST /threads/{id}/runs."""

    additional_instructions: Annotated[str, Field(max_length=MAX_CONTENT)] | None = None
    additional_messages: list[CreateMessage] | None = None
    reasoning_effort: p.ReasoningEffort | None = None

    def to_domain(self) -> NewRun:
        """None: as the assistant has it."""
        return NewRun(
            **self._shared(),
            additional_instructions=self.additional_instructions,
            additional_messages=tuple(message.to_domain() for message in self.additional_messages or ()),
            reasoning_effort=self.reasoning_effort,
        )


class CreateThreadAndRun(_RunFields):
    """POST /threads/runs."""

    thread: CreateThread | None = None
    tool_resources: p.ToolResourcesBody | None = None

    def to_domain(self) -> tuple[NewThread, NewRun]:
        """The thread and its run."""
        thread = NewThread() if self.thread is None else self.thread.to_domain()
        resources = None if self.tool_resources is None else self.tool_resources.to_domain()
        return thread, NewRun(**self._shared(), tool_resources=resources)


class ToolOutputBody(Body):
    """One output."""

    tool_call_id: str | None = None
    output: str | None = None


class SubmitToolOutputs(Body):
    """POST …/submit_tool_outputs."""

    tool_outputs: list[ToolOutputBody]
    stream: bool | None = None

    def to_domain(self) -> tuple[ToolOutput, ...]:
        """An output left out is empty."""
        return tuple(ToolOutput(CallId(one.tool_call_id or ""), one.output or "") for one in self.tool_outputs)


INCLUDABLE = "step_details.tool_calls[*].file_search.results[*].content"


def includes_content(query: list[str]) -> bool:
    """Whether `include[]` asks for search results' content. Raises Invalid for anything else (behaviour.md 1.8)."""
    for value in query:
        if value != INCLUDABLE:
            raise bad_value(value, f"'{INCLUDABLE}'", "include")
    return bool(query)


def page_query(query: Mapping[str, str]) -> PageQuery:
    """Limit 1..100 (20), order asc or desc (desc), after, before (behaviour.md 8.4). Raises Invalid."""
    order = query.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise bad_value(order, "'asc' or 'desc'", "order")
    return PageQuery(_limit(query.get("limit")), Order(order), query.get("after") or None, query.get("before") or None)


def _limit(text: str | None) -> int:
    if text is None or text == "":
        return 20
    try:
        limit = int(text) if text.removeprefix("-").isascii() and len(text) <= MAX_DIGITS else int("")
    except ValueError:
        message = "Invalid type for 'limit': expected an integer, but got a string instead."
        raise Invalid(message, param="limit", code="invalid_type") from None
    if not 1 <= limit <= MAX_PAGE:
        raise out_of_range("limit", limit, MAX_PAGE if limit > MAX_PAGE else 1, above=limit > MAX_PAGE)
    return limit


def run_filter(query: Mapping[str, str]) -> RunId | None:
    """`run_id` of a message list."""
    return RunId(query["run_id"]) if query.get("run_id") else None


_ID_PREFIX = {"thread_id": "thread", "run_id": "run", "message_id": "msg", "assistant_id": "asst", "step_id": "step"}


def check_id(value: str, param: str) -> str:
    """The id, if it begins as ids of that parameter do; Invalid otherwise (behaviour.md 8.3)."""
    prefix = _ID_PREFIX[param]
    if not value.startswith(f"{prefix}_"):
        text = f"Invalid '{param}': '{value}'. Expected an ID that begins with '{prefix}'."
        raise Invalid(text, param=param, code="invalid_value")
    return value
