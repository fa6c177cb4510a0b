"""ModelRequest -> the JSON body of POST /chat/completions. Pure."""

from typing import Any, assert_never

import msgspec

from threadmill.domain.message import ContentPart, ImageFilePart, ImageUrlPart, RefusalPart, TextPart
from threadmill.domain.tool import FunctionCall, FunctionTool, ResponseFormat, ResponseFormatType, ToolChoice
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptRole


def build(request: ModelRequest, model: str, max_tokens_field: str) -> bytes:
    """The body; `model` is the upstream's own name for it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _choice(request.tool_choice)
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    if request.response_format.type is not ResponseFormatType.AUTO:
        body["response_format"] = _format(request.response_format)
    optional = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.reasoning_effort,
        max_tokens_field: request.max_completion_tokens,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    return msgspec.json.encode(body)


def _message(message: PromptMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role}
    shown["content"] = _content(message)
    if message.tool_calls:
        shown["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role is PromptRole.TOOL:
        shown["tool_call_id"] = message.tool_call_id
    return shown


def _content(message: PromptMessage) -> Any:
    """A string where possible: every upstream takes that. Pictures go only with the user's messages."""
    if not message.parts:
        return None
    if all(isinstance(part, TextPart | RefusalPart) for part in message.parts) or message.role is not PromptRole.USER:
        return "\n".join(_plain(part) for part in message.parts)
    return [_part(part) for part in message.parts]


def _plain(part: ContentPart) -> str:
    match part:
        case TextPart():
            return part.value
        case RefusalPart():
            return part.refusal
        case ImageUrlPart():
            return f"[image: {part.url}]"
        case ImageFilePart():
            return f"[image file: {part.file_id}]"
        case _:
            assert_never(part)


def _part(part: ContentPart) -> dict[str, Any]:
    if isinstance(part, ImageUrlPart):
        return {"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}}
    return {"type": "text", "text": _plain(part)}


def _call(call: FunctionCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: FunctionTool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": msgspec.Raw(tool.parameters.encode())}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> Any:
    if choice.named is None:
        return choice.mode
    return {"type": "function", "function": {"name": choice.named.function or choice.named.type}}


def _format(value: ResponseFormat) -> dict[str, Any]:
    if value.json_schema is None:
        return {"type": value.type}
    return {"type": value.type, "json_schema": msgspec.Raw(value.json_schema.encode())}
