"""A model request as the JSON body of `POST /chat/completions`. Pure.

Members are left out wherever the upstream's default is meant: the fewer are sent, the more servers understand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from threadmill.adapters.models.upstream.encoded_request import PIECE, EncodedRequest
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.domain.message import ImageFilePart, ImageUrlPart, RefusalPart, TextPart
from threadmill.domain.model_options import OPTION_NAMES
from threadmill.domain.tool import (
    FunctionCall,
    FunctionTool,
    Json,
    NamedToolChoice,
    ResponseFormat,
    ResponseFormatType,
    ToolChoice,
    ToolChoiceMode,
)
from threadmill.engine.ports.model import ModelRequest, PromptMessage, PromptPart, PromptRole, StoredPicture


class _ImageUrl(msgspec.Struct, omit_defaults=True):
    url: str
    detail: str = "auto"


class _Part(msgspec.Struct, omit_defaults=True):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None


class _CalledFunction(msgspec.Struct):
    name: str
    arguments: str


class _Call(msgspec.Struct):
    id: str
    function: _CalledFunction
    type: str = "function"


class _Model(msgspec.Struct):
    model: str


class _Message(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Function(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: msgspec.Raw
    description: str | None = None
    strict: bool | None = None


class _Tool(msgspec.Struct):
    function: _Function
    type: str = "function"


class _Named(msgspec.Struct):
    function: dict[str, str]
    type: str = "function"


class _Format(msgspec.Struct, omit_defaults=True):
    type: str
    json_schema: msgspec.Raw | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool = True


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What a model turned out to refuse: members to leave out, and whether it knows the token limit's other name."""

    omit: frozenset[str] = frozenset()
    swaps_token_limit: bool = False


NO_ADAPTATION = Adaptation()


class _Members(msgspec.Struct, omit_defaults=True):
    """All but `model` and `messages`."""

    stream: bool
    stream_options: _StreamOptions | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Named | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None


_OPTIONAL_FIELDS = frozenset(_Members.__struct_fields__) - {"stream"}

OPTIONAL = _OPTIONAL_FIELDS.union(OPTION_NAMES)
"""Members that may be left out of a body."""

_encode = msgspec.json.Encoder().encode


def encode_request(
    request: ModelRequest, settings: UpstreamSettings, adaptation: Adaptation = NO_ADAPTATION
) -> EncodedRequest:
    """The body; the token limit goes under the member this upstream knows.

    Message by message: a thread that encodes a large request keeps the others waiting for one of them at most.
    """
    members = _members(request, settings, adaptation)
    parts: list[bytes | StoredPicture] = [_encode(_Model(request.model))[:-1], b',"messages":[']
    for number, message in enumerate(request.messages):
        parts += [b","] if number else []
        parts += _message(message, settings.system_role)
    return EncodedRequest([*parts, b"],", members[1:]], members)


def is_large(request: ModelRequest) -> bool:
    """Whether encoding it takes so long that other streams should not wait for it."""
    texts = sum(_length(part) for message in request.messages for part in message.parts)
    calls = sum(len(call.arguments) for message in request.messages for call in message.tool_calls)
    return texts + calls + sum(len(tool.parameters) for tool in request.tools) > PIECE


def _length(part: PromptPart) -> int:
    match part:
        case TextPart():
            return len(part.value)
        case RefusalPart():
            return len(part.refusal)
        case ImageUrlPart():
            return len(part.url)
        case ImageFilePart() | StoredPicture():
            return 0


def _members(request: ModelRequest, settings: UpstreamSettings, adaptation: Adaptation) -> bytes:
    old_name = (settings.max_tokens_field == "max_tokens") != adaptation.swaps_token_limit
    body = _Members(
        stream=True,
        # Not a default of the struct: omit_defaults would leave it out.
        stream_options=_StreamOptions(),
        response_format=_format(request.response_format),
        temperature=request.temperature,
        top_p=request.top_p,
        reasoning_effort=request.reasoning_effort,
        max_completion_tokens=None if old_name else request.max_completion_tokens,
        max_tokens=request.max_completion_tokens if old_name else None,
    )
    if request.tools:
        body.tools = [_Tool(_function(tool)) for tool in request.tools]
        body.tool_choice = _choice(request.tool_choice, request.tools)
        body.parallel_tool_calls = None if request.parallel_tool_calls else False
    left_out = adaptation.omit | settings.omit
    for member in left_out.intersection(_OPTIONAL_FIELDS):
        setattr(body, member, None)
    options = {name: value for name, value in request.options.given().items() if name not in left_out}
    return _with_extra(_with_extra(_encode(body), _encode(options)), settings.extra_body)


def _with_extra(body: bytes, extra: bytes) -> bytes:
    """Both JSON objects as one, neither of them empty or read."""
    return body if extra == b"{}" else body[:-1] + b"," + extra[1:]


def _message(message: PromptMessage, system_role: str) -> list[bytes | StoredPicture]:
    has_image = any(isinstance(part, ImageUrlPart | StoredPicture) for part in message.parts)
    if has_image and message.role is PromptRole.USER:
        return _with_pictures(message.parts)
    content = "\n\n".join(_as_text(part) for part in message.parts)
    calls = [_call(call) for call in message.tool_calls]
    # An assistant that only called has no content; null is what every server takes there, "" is not.
    role = system_role if message.role is PromptRole.SYSTEM else message.role
    return [_encode(_Message(role, content or None if calls else content, calls or None, message.tool_call_id))]


def _with_pictures(parts: Sequence[PromptPart]) -> list[bytes | StoredPicture]:
    """A user's message whose content are parts."""
    found: list[bytes | StoredPicture] = [b'{"role":"user","content":[']
    for number, part in enumerate(parts):
        found += [b","] if number else []
        found += _stored(part) if isinstance(part, StoredPicture) else [_encode(_part(part))]
    return [*found, b"]}"]


def _stored(picture: StoredPicture) -> list[bytes | StoredPicture]:
    """An `image_url` part, the picture's bytes in the place of its URL's end."""
    url = f"data:{picture.media_type};base64,"
    before, _, after = _encode(_Part("image_url", image_url=_ImageUrl(url, picture.detail))).partition(b";base64,")
    return [before + b";base64,", picture, after]


def _part(part: PromptPart) -> _Part:
    if isinstance(part, ImageUrlPart):
        return _Part("image_url", image_url=_ImageUrl(part.url, part.detail))
    return _Part("text", text=_as_text(part))


def _as_text(part: PromptPart) -> str:
    """A part as text. Pictures have words only where the role or this server cannot carry them to the model."""
    match part:
        case TextPart():
            return part.value
        case RefusalPart():
            return part.refusal
        case ImageUrlPart():
            return f"[Image: {part.url}]"
        case ImageFilePart():
            return f"[Image file {part.file_id}]"
        case StoredPicture():
            return "[Image]"


def _call(call: FunctionCall) -> _Call:
    return _Call(call.id, _CalledFunction(call.name, call.arguments))


def _function(tool: FunctionTool) -> _Function:
    return _Function(tool.name, _raw(tool.parameters), tool.description, True if tool.strict else None)


def _choice(choice: ToolChoice, tools: tuple[FunctionTool, ...]) -> str | _Named | None:
    if choice.named is None:
        return None if choice.mode in (None, ToolChoiceMode.AUTO) else choice.mode.value
    name = _named(choice.named)
    # Naming a tool that is not offered is refused by upstreams; the nearest they understand is `required`.
    return _Named({"name": name}) if any(tool.name == name for tool in tools) else ToolChoiceMode.REQUIRED.value


def _named(choice: NamedToolChoice) -> str:
    """The function's name; code_interpreter and file_search are offered to models as functions of these names."""
    return choice.function or choice.type


def _format(wanted: ResponseFormat) -> _Format | None:
    if wanted.type is ResponseFormatType.AUTO:
        return None
    schema = None if wanted.json_schema is None else _raw(wanted.json_schema)
    return _Format(wanted.type, schema)


def _raw(json: Json) -> msgspec.Raw:
    return msgspec.Raw(json.encode())
