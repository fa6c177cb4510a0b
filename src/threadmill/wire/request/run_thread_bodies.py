"""Bodies of assistants, threads, messages and runs."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import AssistantId, CallId
from threadmill.domain.message import ContentPart, MessageRole, NewMessage, TextPart
from threadmill.domain.model_options import OPTION_NAMES, ModelOptions
from threadmill.domain.patch import AssistantPatch, NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import NewRun, Truncation
from threadmill.domain.tool import ResponseFormat, ToolOutput, ToolResources
from threadmill.wire.request import shared_fields, validation_error
from threadmill.wire.request.body import Body
from threadmill.wire.request.content import MAX_CONTENT, AttachmentBody, Content, PartBody, TextBody
from threadmill.wire.request.item_limit import ItemLimit
from threadmill.wire.request.resources import (
    NewToolResourcesBody,
    ToolResourcesBody,
    new_store_of,
    resources_of,
)

MAX_MESSAGES = 10_000
"""Messages one request may bring; a thread may have more."""

MAX_ATTACHMENTS = 500
"""Of one message."""

MAX_TOOL_OUTPUTS = 512
"""Of one submission."""

EMPTY_CONTENT = "Message content must be non-empty."

ModelName = Annotated[str, Field(min_length=1, max_length=256)]
Instructions = Annotated[str, Field(max_length=MAX_CONTENT)]
Includable = Literal["step_details.tool_calls[*].file_search.results[*].content"]
TokenBudget = shared_fields.Count
"""The schema says 256 and more, the service took 16 (behaviour.md 0.13)."""


def _check_assistant_id(value: str) -> str:
    if not value.startswith("asst"):
        raise validation_error.deferred_error(lambda at: validation_error.bad_id(value, "asst", at))
    return value


class _AssistantFields(Body):
    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    instructions: Instructions | None = None
    tools: Annotated[list[shared_fields.ToolBody], ItemLimit(128)] | None = None
    metadata: shared_fields.Metadata | None = None
    temperature: shared_fields.Temperature | None = None
    top_p: shared_fields.TopP | None = None
    reasoning_effort: shared_fields.ReasoningEffort | None = None
    response_format: shared_fields.ResponseFormatField | None = None

    def _to_new_assistant(self, model: str, resources: ToolResources) -> NewAssistant:
        return NewAssistant(
            model=model,
            name=self.name,
            description=self.description,
            instructions=self.instructions,
            tools=shared_fields.tools_of(self.tools),
            top_p=1.0 if self.top_p is None else self.top_p,
            temperature=1.0 if self.temperature is None else self.temperature,
            reasoning_effort=self.reasoning_effort,
            tool_resources=resources,
            metadata=self.metadata or {},
            response_format=shared_fields.format_of(self.response_format) or ResponseFormat(),
        )


class CreateAssistant(_AssistantFields):
    """POST /assistants."""

    model: ModelName
    tool_resources: NewToolResourcesBody | None = None

    def to_domain(self) -> NewAssistant:
        """Defaults filled in."""
        values = self._to_new_assistant(self.model, resources_of(self.tool_resources))
        return replace(values, new_store=new_store_of(self.tool_resources))


class ModifyAssistant(_AssistantFields):
    """POST /assistants/{id}."""

    model: ModelName | None = None
    tool_resources: ToolResourcesBody | None = None

    def to_domain(self) -> AssistantPatch:
        """What was spoken of."""
        values = self._to_new_assistant(self.model or "", resources_of(self.tool_resources))
        return AssistantPatch(frozenset(self.model_fields_set), values)


class CreateMessage(Body):
    """POST /threads/{id}/messages, and messages inside other bodies."""

    role: Literal["user", "assistant"]
    content: Content
    attachments: Annotated[list[AttachmentBody], ItemLimit(MAX_ATTACHMENTS)] | None = None
    metadata: shared_fields.Metadata | None = None

    @field_validator("content")
    @classmethod
    def _is_not_empty_or_huge(cls, value: str | list[PartBody]) -> str | list[PartBody]:
        texts = [value] if isinstance(value, str) else [part.text for part in value if isinstance(part, TextBody)]
        if not value or not all(texts):
            raise validation_error.deferred_error(
                lambda at: InvalidRequest(EMPTY_CONTENT, param=at, code="invalid_value")
            )
        length = sum(map(len, texts))
        if length > MAX_CONTENT:
            raise validation_error.deferred_error(lambda at: validation_error.too_long(at, MAX_CONTENT, length))
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


class ModifyMetadata(Body):
    """POST to a message or run: metadata only."""

    metadata: shared_fields.Metadata | None = None


class CreateThread(Body):
    """POST /threads."""

    messages: Annotated[list[CreateMessage], ItemLimit(MAX_MESSAGES)] | None = None
    metadata: shared_fields.Metadata | None = None
    tool_resources: NewToolResourcesBody | None = None

    def to_domain(self) -> NewThread:
        """Defaults filled in."""
        messages = tuple(message.to_domain() for message in self.messages or ())
        resources, new_store = resources_of(self.tool_resources), new_store_of(self.tool_resources)
        return NewThread(messages, self.metadata or {}, resources, new_store)


class ModifyThread(Body):
    """POST /threads/{id}."""

    metadata: shared_fields.Metadata | None = None
    tool_resources: ToolResourcesBody | None = None

    def to_domain(self) -> ThreadPatch:
        """What was spoken of."""
        resources = None if self.tool_resources is None else resources_of(self.tool_resources)
        return ThreadPatch(self.metadata, resources)


class TruncationBody(Body):
    """`truncation_strategy`."""

    type: Literal["auto", "last_messages"]
    last_messages: shared_fields.Count | None = None

    @model_validator(mode="after")
    def _last_messages_are_counted(self) -> "TruncationBody":
        if self.type == "last_messages" and self.last_messages is None:
            raise validation_error.deferred_error(lambda at: validation_error.missing(f"{at}.last_messages"))
        return self

    def to_domain(self) -> Truncation:
        """None of last_messages is auto."""
        return Truncation(None if self.type == "auto" else self.last_messages)


class _ModelOptionFields(Body):
    """One field for each of ModelOptions."""

    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None

    def _options(self) -> ModelOptions:
        return ModelOptions(**{name: getattr(self, name) for name in OPTION_NAMES})


class _RunFields(_ModelOptionFields):
    assistant_id: Annotated[str, AfterValidator(_check_assistant_id)]
    model: ModelName | None = None
    instructions: Instructions | None = None
    tools: Annotated[list[shared_fields.ToolBody], ItemLimit(20)] | None = None
    metadata: shared_fields.Metadata | None = None
    temperature: shared_fields.Temperature | None = None
    top_p: shared_fields.TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: TokenBudget | None = None
    max_completion_tokens: TokenBudget | None = None
    truncation_strategy: TruncationBody | None = None
    tool_choice: shared_fields.ToolChoiceField | None = None
    parallel_tool_calls: bool | None = None
    response_format: shared_fields.ResponseFormatField | None = None

    def _to_new_run(self) -> NewRun:
        return NewRun(
            assistant_id=AssistantId(self.assistant_id),
            model=self.model,
            instructions=self.instructions,
            tools=None if self.tools is None else shared_fields.tools_of(self.tools),
            metadata=self.metadata or {},
            temperature=self.temperature,
            top_p=self.top_p,
            max_prompt_tokens=self.max_prompt_tokens,
            max_completion_tokens=self.max_completion_tokens,
            truncation=Truncation() if self.truncation_strategy is None else self.truncation_strategy.to_domain(),
            tool_choice=shared_fields.choice_of(self.tool_choice),
            parallel_tool_calls=self.parallel_tool_calls is not False,
            response_format=shared_fields.format_of(self.response_format),
            options=self._options(),
        )


class CreateRun(_RunFields):
    """POST /threads/{id}/runs."""

    additional_instructions: Instructions | None = None
    additional_messages: Annotated[list[CreateMessage], ItemLimit(MAX_MESSAGES)] | None = None
    reasoning_effort: shared_fields.ReasoningEffort | None = None
    include: Annotated[list[Includable], ItemLimit(16)] | None = None
    """The query's `include[]` counts; Python SDK 1.55 sends it here as well."""

    def to_domain(self) -> NewRun:
        """None: as the assistant has it."""
        return replace(
            self._to_new_run(),
            additional_instructions=self.additional_instructions,
            additional_messages=tuple(message.to_domain() for message in self.additional_messages or ()),
            reasoning_effort=self.reasoning_effort,
        )


class CreateThreadAndRun(_RunFields):
    """POST /threads/runs."""

    thread: CreateThread | None = None
    tool_resources: ToolResourcesBody | None = None

    def to_domain(self) -> tuple[NewThread, NewRun]:
        """The thread and its run."""
        thread = NewThread() if self.thread is None else self.thread.to_domain()
        resources = None if self.tool_resources is None else resources_of(self.tool_resources)
        return thread, replace(self._to_new_run(), tool_resources=resources)


class ToolOutputBody(Body):
    """One output."""

    tool_call_id: str | None = None
    output: str | None = None


class SubmitToolOutputs(Body):
    """POST …/submit_tool_outputs."""

    tool_outputs: Annotated[list[ToolOutputBody], ItemLimit(MAX_TOOL_OUTPUTS)]
    stream: bool | None = None

    def to_domain(self) -> tuple[ToolOutput, ...]:
        """An output left out is empty."""
        return tuple(ToolOutput(CallId(one.tool_call_id or ""), one.output or "") for one in self.tool_outputs)
