"""Bodies of assistants, threads, messages and runs, and the query parameters of lists."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from threadmill.domain.error import Invalid
from threadmill.domain.ids import AssistantId, CallId, RunId
from threadmill.domain.message import ContentPart, MessageRole, NewMessage, TextPart
from threadmill.domain.page import Order, PageQuery
from threadmill.domain.patch import AssistantPatch, NewAssistant, NewThread, ThreadPatch
from threadmill.domain.run import NewRun, Truncation
from threadmill.domain.tool import ResponseFormat, ToolOutput
from threadmill.wire.request import parts as p
from threadmill.wire.request import problem
from threadmill.wire.request.body import Body
from threadmill.wire.request.content import MAX_CONTENT, AttachmentBody, Content, PartBody, TextBody

EMPTY_CONTENT = "Message content must be non-empty."

ModelName = Annotated[str, Field(min_length=1)]
Instructions = Annotated[str, Field(max_length=MAX_CONTENT)]
TokenBudget = p.Count
"""The schema says 256 and more, the service took 16 (behaviour.md 0.13)."""


def _is_an_assistants(value: str) -> str:
    if not value.startswith("asst"):
        raise problem.refused(lambda at: problem.bad_id(value, "asst", at))
    return value


class _AssistantFields(Body):
    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    instructions: Instructions | None = None
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

    model: ModelName

    def to_domain(self) -> NewAssistant:
        """Defaults filled in."""
        return self._values(self.model)


class ModifyAssistant(_AssistantFields):
    """POST /assistants/{id}."""

    model: ModelName | None = None

    def to_domain(self) -> AssistantPatch:
        """What was spoken of."""
        return AssistantPatch(frozenset(self.model_fields_set), self._values(self.model or ""))


class CreateMessage(Body):
    """POST /threads/{id}/messages, and messages inside other bodies."""

    role: Literal["user", "assistant"]
    content: Content
    attachments: list[AttachmentBody] | None = None
    metadata: p.Metadata | None = None

    @field_validator("content")
    @classmethod
    def _is_not_empty_or_huge(cls, value: str | list[PartBody]) -> str | list[PartBody]:
        texts = [value] if isinstance(value, str) else [part.text for part in value if isinstance(part, TextBody)]
        if not value or not all(texts):
            raise problem.refused(lambda at: Invalid(EMPTY_CONTENT, param=at, code="invalid_value"))
        length = sum(map(len, texts))
        if length > MAX_CONTENT:
            raise problem.refused(lambda at: problem.too_long(at, MAX_CONTENT, length))
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
    last_messages: p.Count | None = None

    @model_validator(mode="after")
    def _last_messages_are_counted(self) -> "TruncationBody":
        if self.type == "last_messages" and self.last_messages is None:
            raise problem.refused(lambda at: problem.missing(f"{at}.last_messages"))
        return self

    def to_domain(self) -> Truncation:
        """None of last_messages is auto."""
        return Truncation(None if self.type == "auto" else self.last_messages)


class _RunFields(Body):
    assistant_id: Annotated[str, AfterValidator(_is_an_assistants)]
    model: ModelName | None = None
    instructions: Instructions | None = None
    tools: Annotated[list[p.ToolBody], Field(max_length=20)] | None = None
    metadata: p.Metadata | None = None
    temperature: p.Temperature | None = None
    top_p: p.TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: TokenBudget | None = None
    max_completion_tokens: TokenBudget | None = None
    truncation_strategy: TruncationBody | None = None
    tool_choice: p.ToolChoiceField | None = None
    parallel_tool_calls: bool | None = None
    response_format: p.ResponseFormatField | None = None

    def _shared(self) -> NewRun:
        return NewRun(
            assistant_id=AssistantId(self.assistant_id),
            model=self.model,
            instructions=self.instructions,
            tools=None if self.tools is None else p.tools_of(self.tools),
            metadata=self.metadata or {},
            temperature=self.temperature,
            top_p=self.top_p,
            max_prompt_tokens=self.max_prompt_tokens,
            max_completion_tokens=self.max_completion_tokens,
            truncation=Truncation() if self.truncation_strategy is None else self.truncation_strategy.to_domain(),
            tool_choice=p.choice_of(self.tool_choice),
            parallel_tool_calls=self.parallel_tool_calls is not False,
            response_format=p.format_of(self.response_format),
        )


class CreateRun(_RunFields):
    """POST /threads/{id}/runs."""

    additional_instructions: Instructions | None = None
    additional_messages: list[CreateMessage] | None = None
    reasoning_effort: p.ReasoningEffort | None = None
    include: list[Literal["step_details.tool_calls[*].file_search.results[*].content"]] | None = None
    """The query's `include[]` counts; Python SDK 1.55 sends it here as well."""

    def to_domain(self) -> NewRun:
        """None: as the assistant has it."""
        return replace(
            self._shared(),
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
        return thread, replace(self._shared(), tool_resources=resources)


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
            raise problem.bad_value(value, [INCLUDABLE], "include")
    return bool(query)


MAX_PAGE, USUAL_PAGE = 100, 20


def page_query(query: Mapping[str, str], *, most: int = MAX_PAGE, usual: int = USUAL_PAGE) -> PageQuery:
    """Limit 1..`most` (`usual`), order asc or desc (desc), after, before (behaviour.md 8.4). Raises Invalid."""
    order = query.get("order") or Order.DESC
    if order not in tuple(Order):
        raise problem.bad_value(order, tuple(Order), "order")
    limit = _limit(query.get("limit") or str(usual), most)
    return PageQuery(limit, Order(order), query.get("after") or None, query.get("before") or None)


_WHOLE = re.compile(r"-?[0-9]{1,18}")


def _limit(text: str, most: int) -> int:
    if not _WHOLE.fullmatch(text):
        raise problem.wrong_type("limit", "an integer", text)
    limit = int(text)
    if limit < 1:
        raise problem.out_of_range("limit", limit, 1, above=False)
    if limit > most:
        raise problem.out_of_range("limit", limit, most, above=True)
    return limit


def run_filter(query: Mapping[str, str]) -> RunId | None:
    """`run_id` of a message list."""
    return RunId(query["run_id"]) if query.get("run_id") else None


_ID_PREFIX = {"thread_id": "thread", "run_id": "run", "message_id": "msg", "assistant_id": "asst", "step_id": "step"}


def check_id(value: str, param: str) -> str:
    """The id, if it begins as ids of that parameter do; Invalid otherwise (behaviour.md 8.3)."""
    prefix = _ID_PREFIX[param]
    if not value.startswith(prefix):
        raise problem.bad_id(value, prefix, param)
    return value
