"""Domain -> response objects, in the service's key order (behaviour.md 1.1, 2.1, 4, 5, 6).

Wire rule (design.md): what the schema asks for and the service left out comes last; what it added stands where it
stood. Each such place is a row of `deviations.py`.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from threadmill.domain.assistant import Assistant
from threadmill.domain.file import File
from threadmill.domain.ids import Instant
from threadmill.domain.message import (
    Annotation,
    Attachment,
    ContentPart,
    ImageFilePart,
    ImageUrlPart,
    Message,
    MessageStatus,
    RefusalPart,
    TextPart,
)
from threadmill.domain.outcome import LastError, Usage
from threadmill.domain.run import Run, Truncation
from threadmill.domain.run_step import RunStep, RunStepStatus, RunStepType
from threadmill.domain.thread import Thread
from threadmill.domain.tool import CodeInterpreterTool, FunctionCall
from threadmill.domain.upload import Upload, UploadPart
from threadmill.wire.tool_response import (
    NO_CODE_FILES,
    Json,
    response_format,
    tool,
    tool_call,
    tool_choice,
    tool_resources,
)

_ENCODE = msgspec.json.Encoder().encode


def to_sse_json(value: Json) -> bytes:
    """As in SSE: no spaces, non-ASCII as is."""
    return _ENCODE(value)


def to_rest_json(value: Json) -> bytes:
    """As over REST: two spaces of indent (behaviour.md 3.1)."""
    return msgspec.json.format(_ENCODE(value), indent=2)


def assistant(value: Assistant) -> Json:
    """An assistant."""
    resources = tool_resources(value.tool_resources)
    if any(isinstance(tool, CodeInterpreterTool) for tool in value.tools) and "code_interpreter" not in resources:
        resources = {**resources, **NO_CODE_FILES}
    return {
        "id": value.id,
        "object": "assistant",
        "created_at": value.created_at,
        "name": value.name,
        "description": value.description,
        "model": value.model,
        "instructions": value.instructions,
        "tools": [tool(one) for one in value.tools],
        "top_p": value.top_p,
        "temperature": value.temperature,
        "reasoning_effort": value.reasoning_effort,
        "tool_resources": resources,
        "metadata": value.metadata,
        "response_format": response_format(value.response_format),
    }


def thread(value: Thread, *, fetched: bool = False) -> Json:
    """A thread. `fetched`: as GET and events show it, naming the code interpreter's no files (behaviour.md 5)."""
    resources = tool_resources(value.tool_resources)
    return {
        "id": value.id,
        "object": "thread",
        "created_at": value.created_at,
        "metadata": value.metadata,
        "tool_resources": NO_CODE_FILES if fetched and not resources else resources,
    }


def message(value: Message, *, event: bool = False) -> Json:
    """A message, as REST or as events order it (behaviour.md 0.1 and 4).

    While a run has said nothing in it, REST shows one empty text: readers of `content[0].text` crash on none (9.5).
    """
    head: Json = {
        "id": value.id,
        "object": "thread.message",
        "created_at": value.created_at,
        "assistant_id": value.assistant_id,
        "thread_id": value.thread_id,
        "run_id": value.run_id,
    }
    begun = event or value.content or value.status is not MessageStatus.IN_PROGRESS
    content = value.content if begun else (TextPart(""),)
    reason = value.incomplete_reason
    status: Json = {
        "status": value.status,
        "incomplete_details": None if reason is None else {"reason": reason},
        "incomplete_at": value.incomplete_at,
        "completed_at": value.completed_at,
    }
    body: Json = {
        "role": value.role,
        "content": [content_part(part) for part in content],
        "attachments": [_attachment(one) for one in value.attachments],
        "metadata": value.metadata,
    }
    return {**head, **status, **body} if event else {**head, **body, **status}


def modified_message(value: Message) -> Json:
    """A message as modify answers it: `file_ids` where attachments stood, which come last (behaviour.md 0.5)."""
    shown = message(value)
    renamed = {("file_ids" if key == "attachments" else key): item for key, item in shown.items()}
    renamed["file_ids"] = []
    renamed["attachments"] = shown["attachments"]
    return renamed


def content_part(part: ContentPart) -> Json:
    """A content part."""
    match part:
        case TextPart():
            annotations = [annotation(one) for one in part.annotations]
            return {"type": "text", "text": {"value": part.value, "annotations": annotations}}
        case ImageUrlPart():
            return {"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}}
        case ImageFilePart():
            return {"type": "image_file", "image_file": {"file_id": part.file_id, "detail": part.detail}}
        case RefusalPart():
            return {"type": "refusal", "refusal": part.refusal}
        case _:
            assert_never(part)


def annotation(value: Annotation) -> Json:
    """A citation or file path as it stands in a message."""
    return {
        "type": value.type,
        "text": value.text,
        "start_index": value.start_index,
        "end_index": value.end_index,
        value.type: {"file_id": value.file_id},
    }


def _attachment(value: Attachment) -> Json:
    shown: Json = {} if value.file_id is None else {"file_id": value.file_id}
    if value.tools is not None:
        shown["tools"] = [{"type": kind} for kind in value.tools]
    return shown


def run(value: Run, *, event: bool = False) -> Json:
    """A run (behaviour.md 1.1). Events show the code interpreter's empty files always, REST nothing."""
    return {
        "id": value.id,
        "object": "thread.run",
        "created_at": value.created_at,
        "assistant_id": value.assistant_id,
        "thread_id": value.thread_id,
        "status": value.status,
        "started_at": value.started_at,
        "expires_at": value.expires_at,
        "cancelled_at": value.cancelled_at,
        "failed_at": value.failed_at,
        "completed_at": value.completed_at,
        "required_action": _required_action(value.required_action),
        "last_error": _last_error(value.last_error),
        "model": value.model,
        "instructions": value.instructions,
        "tools": [tool(one) for one in value.tools],
        "tool_resources": NO_CODE_FILES if event else {},
        "metadata": value.metadata,
        "temperature": value.temperature,
        "top_p": value.top_p,
        "reasoning_effort": value.reasoning_effort,
        "max_completion_tokens": value.max_completion_tokens,
        "max_prompt_tokens": value.max_prompt_tokens,
        "truncation_strategy": _truncation(value.truncation),
        "incomplete_details": None if value.incomplete_reason is None else {"reason": value.incomplete_reason},
        "usage": usage(value.usage) if value.is_terminal else None,
        "response_format": response_format(value.response_format),
        "tool_choice": tool_choice(value.tool_choice),
        "parallel_tool_calls": value.parallel_tool_calls,
        **value.options.given(),
    }


def _truncation(value: Truncation) -> Json:
    kind = "auto" if value.last_messages is None else "last_messages"
    return {"type": kind, "last_messages": value.last_messages}


def _required_action(calls: Sequence[FunctionCall]) -> Json | None:
    if not calls:
        return None
    shown = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": shown}}


def _last_error(value: LastError | None) -> Json | None:
    return None if value is None else {"code": value.code, "message": value.message}


def usage(value: Usage) -> Json:
    """With the service's own spelling of the details (behaviour.md 0.2)."""
    return {
        "prompt_tokens": value.prompt_tokens,
        "completion_tokens": value.completion_tokens,
        "total_tokens": value.total_tokens,
        "prompt_token_details": {"cached_tokens": value.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": value.reasoning_tokens},
    }


def run_step(value: RunStep, *, run_ended: bool = False, include_content: bool = False) -> Json:
    """A run step (behaviour.md 2.1). `run_ended`: fetched after its run ended, so that expires_at is null."""
    opened = value.status is RunStepStatus.IN_PROGRESS
    return {
        "id": value.id,
        "object": "thread.run.step",
        "created_at": value.created_at,
        "run_id": value.run_id,
        "assistant_id": value.assistant_id,
        "thread_id": value.thread_id,
        "type": value.type,
        "status": value.status,
        "cancelled_at": value.cancelled_at,
        "completed_at": value.completed_at,
        "expires_at": None if run_ended else value.expires_at,
        "failed_at": value.failed_at,
        "last_error": _last_error(value.last_error),
        "step_details": _details(value, include_content=include_content),
        "usage": None if value.usage is None or opened else usage(value.usage),
        "expired_at": value.expired_at,
        "metadata": {},
    }


def _details(value: RunStep, *, include_content: bool) -> Json:
    if value.type is RunStepType.MESSAGE_CREATION:
        return {"type": "message_creation", "message_creation": {"message_id": value.message_id}}
    calls = [tool_call(call, include_content=include_content) for call in value.tool_calls]
    return {"type": "tool_calls", "tool_calls": calls}


def file(value: File) -> Json:
    """A file (behaviour.md 7.1)."""
    return {
        "object": "file",
        "id": value.id,
        "purpose": value.purpose,
        "filename": value.filename,
        "bytes": value.blob.size,
        "created_at": value.created_at,
        "expires_at": value.expires_at,
        "status": "processed",
        "status_details": None,
    }


def upload(value: Upload, made: File | None) -> Json:
    """An upload, with the file that came of it."""
    return {
        "id": value.id,
        "object": "upload",
        "bytes": value.size,
        "created_at": value.created_at,
        "filename": value.filename,
        "purpose": value.purpose,
        "status": value.status,
        "expires_at": value.expires_at,
        "file": None if made is None else file(made),
    }


def upload_part(value: UploadPart) -> Json:
    """A part of an upload."""
    return {"id": value.id, "object": "upload.part", "created_at": value.created_at, "upload_id": value.upload_id}


def deletion_response(object_id: str, kind: str) -> Json:
    """What a delete answers; `kind` is the object's wire name."""
    return {"id": object_id, "object": f"{kind}.deleted", "deleted": True}


def list_response(items: Iterable[Json], *, has_more: bool) -> Json:
    """A page (behaviour.md 8.4); an empty one has null for its ends."""
    data = list(items)
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}


def file_list_response(items: Iterable[Json], *, has_more: bool) -> Json:
    """A page of files, in their own key order (behaviour.md 7.1)."""
    page = list_response(items, has_more=has_more)
    return {key: page[key] for key in ("object", "data", "has_more", "first_id", "last_id")}


def model_object(model_id: str, created: Instant, owned_by: str) -> Json:
    """A model on offer."""
    return {"id": model_id, "object": "model", "created": created, "owned_by": owned_by}


def model_list(items: Iterable[Json]) -> Json:
    """The models: a list without cursors."""
    return {"object": "list", "data": list(items)}
