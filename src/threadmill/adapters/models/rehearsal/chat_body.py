"""The body of `POST /v1/chat/completions`, as far as a rehearsal acts on it, read into a ModelRequest. Pure."""

import msgspec

from threadmill.domain.error import InvalidRequest
from threadmill.domain.ids import CallId
from threadmill.domain.message import ContentPart, ImageUrlPart, TextPart
from threadmill.domain.tool import (
    FunctionCall,
    FunctionTool,
    NamedToolChoice,
    ResponseFormat,
    ResponseFormatType,
    ToolChoice,
    ToolChoiceMode,
)
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptRole


class _ImageUrl(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None


class _CalledFunction(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Call(msgspec.Struct):
    id: str = ""
    function: _CalledFunction = msgspec.field(default_factory=_CalledFunction)


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Tool(msgspec.Struct):
    type: str
    function: _Function | None = None


class _Named(msgspec.Struct):
    function: _CalledFunction = msgspec.field(default_factory=_CalledFunction)


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: msgspec.Raw = msgspec.Raw(b"null")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class ChatBody(msgspec.Struct):
    """What is asked. Members that a rehearsal has no use for are left out."""

    messages: list[_Message]
    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Named | None = None
    response_format: _Format | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    n: int | None = None


_decode = msgspec.json.Decoder(ChatBody).decode

_ROLES = {
    "system": PromptRole.SYSTEM,
    "developer": PromptRole.SYSTEM,
    "user": PromptRole.USER,
    "assistant": PromptRole.ASSISTANT,
    "tool": PromptRole.TOOL,
    "function": PromptRole.TOOL,
}


MAX_COMMAS = 100_000
"""Of a body: more values would stop the server's other work for long, and no rehearsal needs so many."""


def read_chat(body: bytes) -> ChatBody:
    """The body. Raises InvalidRequest for what is none."""
    if body.count(b",") > MAX_COMMAS:
        raise InvalidRequest(f"The built-in model reads a body of at most {MAX_COMMAS} values.")
    try:
        chat = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"This is no chat completion request: {error}") from None
    if chat.n not in (None, 1):
        raise InvalidRequest("The built-in model gives one choice: n must be 1.", param="n")
    for message in chat.messages:
        if message.role not in _ROLES:
            raise InvalidRequest(
                f"'{message.role[:60]}' is no role of a message; there are {', '.join(_ROLES)}.", param="messages"
            )
    return chat


def to_model_request(chat: ChatBody) -> ModelRequest:
    """The request as a run's turn would make it."""
    return ModelRequest(
        model=chat.model,
        messages=tuple(map(_message, chat.messages)),
        tools=tuple(_tool(tool.function) for tool in chat.tools or () if tool.function is not None),
        tool_choice=_choice(chat.tool_choice),
        response_format=_format(chat.response_format),
        max_completion_tokens=chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens,
    )


def _message(message: _Message) -> PromptMessage:
    content = message.content
    parts = [_Part("text", content)] if isinstance(content, str) else content or []
    calls = tuple(
        FunctionCall(CallId(one.id), one.function.name, one.function.arguments) for one in message.tool_calls or ()
    )
    return PromptMessage(_ROLES[message.role], tuple(map(_part, parts)), calls, message.tool_call_id)


def _part(part: _Part) -> ContentPart:
    return ImageUrlPart(part.image_url.url) if part.image_url is not None else TextPart(part.text or "")


def _tool(function: _Function) -> FunctionTool:
    return FunctionTool(function.name, function.description, bytes(function.parameters).decode())


def _choice(choice: str | _Named | None) -> ToolChoice:
    if isinstance(choice, _Named):
        return ToolChoice(None, NamedToolChoice("function", choice.function.name))
    return ToolChoice(ToolChoiceMode(choice)) if choice in set(ToolChoiceMode) else ToolChoice()


def _format(wanted: _Format | None) -> ResponseFormat:
    if wanted is None or wanted.type not in set(ResponseFormatType):
        return ResponseFormat()
    schema = bytes(wanted.json_schema).decode()
    return ResponseFormat(ResponseFormatType(wanted.type), None if schema == "null" else schema)
