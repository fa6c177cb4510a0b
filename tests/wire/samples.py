"""Domain values that take every branch of the wire's shapes."""

import json
from collections.abc import Iterator
from dataclasses import replace

from threadmill.domain.assistant import Assistant
from threadmill.domain.chunking import OtherChunking, StaticChunking
from threadmill.domain.delta import (
    AnnotationDelta,
    ArgumentsDelta,
    CodeInputDelta,
    CodeOutputDelta,
    Delta,
    ImageDelta,
    RefusalDelta,
    TextDelta,
    ToolCallStarted,
)
from threadmill.domain.event import Event, EventName
from threadmill.domain.file import Blob, File, FilePurpose
from threadmill.domain.ids import (
    AssistantId,
    CallId,
    FileBatchId,
    FileId,
    MessageId,
    ProjectId,
    RunId,
    RunStepId,
    ThreadId,
    VectorStoreId,
)
from threadmill.domain.message import (
    Annotation,
    Attachment,
    ImageFilePart,
    ImageUrlPart,
    IncompleteReason,
    Message,
    MessageRole,
    MessageStatus,
    RefusalPart,
    TextPart,
)
from threadmill.domain.model_options import ModelOptions
from threadmill.domain.outcome import ErrorCode, LastError, RunIncompleteReason, Usage
from threadmill.domain.run import Run, RunStatus, Truncation
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.thread import Thread
from threadmill.domain.tool import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    CodeOutput,
    FileSearchCall,
    FileSearchTool,
    FunctionCall,
    FunctionTool,
    NamedToolChoice,
    RankingOptions,
    ResponseFormat,
    ResponseFormatType,
    SearchResult,
    ToolChoice,
    ToolChoiceMode,
    ToolResources,
)
from threadmill.domain.vector_store import (
    ExpiresAfter,
    FileBatch,
    FileCounts,
    FileError,
    FileErrorCode,
    VectorStore,
    VectorStoreFile,
)
from threadmill.wire.deviations import ADDED_PARAMETERS

PROJECT = ProjectId("default")
THREAD, RUN, ASSISTANT = ThreadId("thread_1"), RunId("run_1"), AssistantId("asst_1")
FILE, STORE = FileId("file-1"), VectorStoreId("vs_1")

TOOLS = (
    FunctionTool("add", "adds", '{"type":"object","properties":{"b":{},"a":{"default":null}}}', strict=True),
    FunctionTool("bare"),
    CodeInterpreterTool(),
    FileSearchTool(RankingOptions("auto", 0.5, '{"embedding_weight":1.0,"text_weight":0.5}'), max_num_results=3),
    FileSearchTool(),
)
SCHEMA = ResponseFormat(ResponseFormatType.JSON_SCHEMA, '{"name":"n","schema":{"type":"object"},"strict":true}')
FORMATS = (ResponseFormat(), *(ResponseFormat(ResponseFormatType(kind)) for kind in ("text", "json_object")), SCHEMA)
CHOICES = (
    *(ToolChoice(mode) for mode in ToolChoiceMode),
    ToolChoice(None, NamedToolChoice("code_interpreter")),
    ToolChoice(None, NamedToolChoice("function", "add")),
)

PARTS = (
    TextPart(
        "héllo 🌮", (Annotation("file_citation", "【0†a】", 0, 5, FILE), Annotation("file_path", "x", 1, 2, FILE))
    ),
    ImageUrlPart("https://example.com/a.png"),
    ImageFilePart(FILE, "low"),
    RefusalPart("no"),
)

CALLS = (
    FunctionCall(CallId("call_1"), "add", '{"a":1}', None),
    FunctionCall(CallId("call_2"), "add", '{"a":1}', "2"),
    CodeInterpreterCall(CallId("call_3"), "1+1", (CodeOutput(logs="2"), CodeOutput(image=FILE))),
    FileSearchCall(
        CallId("call_4"), RankingOptions(), (SearchResult(FILE, "a.txt", 0.5, ("one", "two"), '{"year":2024}'),)
    ),
)


def assistants() -> Iterator[Assistant]:
    """Plain, and with everything."""
    plain = Assistant(ASSISTANT, PROJECT, 1, "gpt-4o")
    yield plain
    full = replace(plain, name="n", description="d", instructions="i", tools=TOOLS, reasoning_effort="low")
    resources = ToolResources(file_ids=(FILE,), vector_store_ids=(STORE,))
    for form in FORMATS:
        yield replace(full, response_format=form, tool_resources=resources, metadata={"k": "v"})
    yield replace(plain, tools=(CodeInterpreterTool(),), tool_resources=ToolResources(vector_store_ids=()))


def threads() -> Iterator[Thread]:
    """Plain, and with everything."""
    plain = Thread(THREAD, PROJECT, 1)
    yield plain
    yield replace(plain, metadata={"k": "v"}, tool_resources=ToolResources((FILE,), (STORE,)))


def messages() -> Iterator[Message]:
    """A caller's and a run's, in each status."""
    said = Message(MessageId("msg_1"), PROJECT, THREAD, 1, MessageRole.USER, PARTS)
    yield said
    yield replace(
        said,
        attachments=(Attachment(FILE, ("file_search", "code_interpreter")), Attachment(None, None)),
        metadata={"k": "v"},
    )
    written = replace(said, role=MessageRole.ASSISTANT, assistant_id=ASSISTANT, run_id=RUN)
    yield replace(written, status=MessageStatus.IN_PROGRESS, content=())
    yield replace(written, completed_at=2)
    for reason in IncompleteReason:
        yield replace(written, status=MessageStatus.INCOMPLETE, incomplete_reason=reason, incomplete_at=2)


def runs() -> Iterator[Run]:
    """Each status with what belongs to it, each choice of the caller."""
    queued = Run(RUN, PROJECT, THREAD, ASSISTANT, 1, "gpt-4o", expires_at=601, usage=Usage(3, 4, 1, 2))
    yield queued
    started = replace(queued, status=RunStatus.IN_PROGRESS, started_at=2)
    yield started
    yield replace(started, status=RunStatus.REQUIRES_ACTION, required_action=(CALLS[0],), tools=TOOLS)
    ended = replace(started, expires_at=None)
    yield replace(ended, status=RunStatus.COMPLETED, completed_at=3)
    error = LastError(ErrorCode.INVALID_PROMPT, "no")
    yield replace(ended, status=RunStatus.FAILED, failed_at=3, last_error=error)
    yield replace(ended, status=RunStatus.CANCELLED, cancelled_at=3)
    yield replace(started, status=RunStatus.CANCELLING)
    yield replace(started, status=RunStatus.EXPIRED)
    for reason in RunIncompleteReason:
        yield replace(ended, status=RunStatus.INCOMPLETE, completed_at=3, incomplete_reason=reason)
    yield from _asked(queued)


def _asked(queued: Run) -> Iterator[Run]:
    yield replace(queued, instructions="i", max_prompt_tokens=16, max_completion_tokens=16, truncation=Truncation(3))
    yield replace(queued, tools=TOOLS * 5, reasoning_effort="high", parallel_tool_calls=False)
    yield replace(queued, options=ModelOptions(**{row.name: json.loads(row.example) for row in ADDED_PARAMETERS}))
    for choice in CHOICES:
        yield replace(queued, tool_choice=choice)
    for form in FORMATS:
        yield replace(queued, response_format=form)


def steps() -> Iterator[RunStep]:
    """Both types in each status."""
    writes = RunStep(
        RunStepId("step_1"), PROJECT, THREAD, RUN, ASSISTANT, 1, RunStepType.MESSAGE_CREATION, expires_at=601
    )
    yield replace(writes, message_id=MessageId("msg_1"))
    calls = replace(writes, type=RunStepType.TOOL_CALLS)
    yield calls
    yield replace(calls, tool_calls=CALLS[:1], usage=Usage(1, 2))
    ended = replace(calls, tool_calls=CALLS, usage=Usage(1, 2))
    yield replace(ended, status=RunStepStatus.COMPLETED, completed_at=2)
    error = LastError(ErrorCode.SERVER_ERROR, "no")
    yield replace(ended, status=RunStepStatus.FAILED, failed_at=2, last_error=error)
    yield replace(ended, status=RunStepStatus.CANCELLED, cancelled_at=2)
    yield replace(ended, status=RunStepStatus.EXPIRED, expired_at=2)


def events() -> Iterator[Event]:
    """Every event name with every object it may carry."""
    for thread in threads():
        yield Event(EventName.THREAD_CREATED, thread)
    for run in runs():
        yield Event(EventName(f"thread.run.{run.status}"), run)
    yield Event(EventName.RUN_CREATED, next(runs()))
    for step in steps():
        yield Event(EventName(f"thread.run.step.{step.status}"), step)
    yield Event(EventName.STEP_CREATED, next(steps()))
    for message in messages():
        yield Event(EventName(f"thread.message.{message.status}"), message)
    yield Event(EventName.MESSAGE_CREATED, next(messages()))


def deltas() -> Iterator[Delta]:
    """Every kind."""
    message, step = next(messages()), next(steps())
    yield TextDelta(message, 0, ("Hel", "lo"), first=True)
    yield TextDelta(message, 0, (" you",))
    yield RefusalDelta(message, 1, ("I ", "won't"))
    yield ToolCallStarted(step, 0, FunctionCall(CallId("call_1"), "add", ""))
    yield ArgumentsDelta(step, 0, ('{"a":', "1}"))
    yield ToolCallStarted(step, 1, CodeInterpreterCall(CallId("call_2"), ""))
    yield CodeInputDelta(step, 1, ("1 +", " 1"))
    yield CodeOutputDelta(step, 1, 0, CodeOutput(logs="2"))
    yield CodeOutputDelta(step, 1, 1, CodeOutput(image=FILE))
    yield ToolCallStarted(step, 2, FileSearchCall(CallId("call_3"), RankingOptions()))
    yield ImageDelta(message, 0, ImageFilePart(FILE))
    yield AnnotationDelta(message, 1, 0, Annotation("file_path", "sandbox:/mnt/data/a", 0, 19, FILE))
    yield AnnotationDelta(message, 1, 1, Annotation("file_citation", "【0:1†a】", 20, 27, FILE))


def files() -> Iterator[File]:
    """With and without an end, of an unusual purpose."""
    usual = File(FileId("file-1"), PROJECT, 1, "ä.txt", FilePurpose.EVALS, Blob("k", 3))
    yield usual
    yield replace(usual, expires_at=2, purpose=FilePurpose.ASSISTANTS_OUTPUT)


def vector_stores() -> Iterator[VectorStore]:
    """Empty, and with everything; at 86,401 the last has expired."""
    empty = VectorStore(STORE, PROJECT, 1, 1)
    yield empty
    full = replace(empty, name="n", description="d", file_counts=FileCounts(1, 2, 3, 4), metadata={"k": "v"})
    yield full
    yield replace(full, expires_after=ExpiresAfter(1))


def store_files() -> Iterator[VectorStoreFile]:
    """In each status, cut in each way, with attributes of each kind."""
    reading = VectorStoreFile(FILE, STORE, PROJECT, 1)
    yield reading
    yield replace(reading.completed("e", 1045), attributes={"a": "x", "b": 1.5, "c": True, "d": 2024})
    yield replace(reading.cancelled(), chunking_strategy=StaticChunking(100, 0))
    for code in FileErrorCode:
        yield replace(reading.failed(FileError(code, "no")), chunking_strategy=OtherChunking())


def file_batches() -> Iterator[FileBatch]:
    """In each status this server knows."""
    for counts in (FileCounts(1, 2, 3, 4), FileCounts(0, 2, 3, 4), FileCounts(0, 2, 3)):
        yield FileBatch(FileBatchId("vsfb_1"), PROJECT, STORE, 1, counts)
