"""How upstreams say that something is wrong, read into one shape, and what the client is told about it.

Texts are safe: they name the upstream's own message, never a key, a URL or a prompt of somebody else.
"""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ContextTooLong, ModelError

MAX_TEXT = 500
"""Characters of an upstream's own message that are passed on."""

_Label: TypeAlias = str | int | float | None


class _Body(msgspec.Struct):
    """`{"message": …, "type": …, "code": …}`, as the value of `error` or bare (vLLM, some gateways)."""

    message: str | None = None
    type: _Label = None
    code: _Label = None
    param: _Label = None
    detail: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Place(msgspec.Struct):
    loc: list[str | int] = []
    msg: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamErrorBody:
    """An upstream's error: its message, its codes, the member it is about, and the HTTP status it came with or names
    (0: none).
    """

    message: str = ""
    code: str = ""
    kind: str = ""
    status: int = 0
    param: str = ""


class TransientError(ModelError):
    """A failure that may be gone on the next try; `after` is the upstream's own wish in seconds."""

    def __init__(self, code: ErrorCode, message: str, after: float | None = None) -> None:
        super().__init__(code, message)
        self.after: float | None = after


_decode = msgspec.json.Decoder(_Body, strict=False).decode
_decode_places = msgspec.json.Decoder(list[_Place], strict=False).decode
_decode_text = msgspec.json.Decoder(str).decode

_TOO_LONG_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "prompt_too_long"})
_TOO_LONG_TEXTS = (
    "maximum context length",  # OpenAI, vLLM
    "context length",  # Ollama, LM Studio
    "context window",  # Anthropic-compatible gateways, Groq
    "exceeds the available context size",  # llama.cpp
    "prompt is too long",  # Anthropic
    "too many tokens",  # Bedrock, Cohere
)
_TOO_LONG_STATUS = frozenset({0, 400, 413, 422, 500})
_POLICY_CODES = frozenset({"content_filter", "content_policy_violation", "moderation_blocked", "invalid_prompt"})
_TRANSIENT_STATUS = frozenset({408, 409, 425, 429})


def parse_error(body: bytes, status: int = 0) -> UpstreamErrorBody:
    """Read an error body of any known server; unknown ones give a body without message."""
    try:
        said = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UpstreamErrorBody(status=status)
    inner = _inner(said)
    code = _label(inner.code)
    named = int(code) if code.isdigit() and 400 <= int(code) <= 599 else 0
    return UpstreamErrorBody(
        inner.message or _detail(said), code, _label(inner.type), status or named, _label(inner.param)
    )


def _inner(said: _Body) -> _Body:
    raw = bytes(said.error)
    if raw.startswith(b"{"):
        try:
            return _decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return said
    return _Body(message=_text(said.error)) if raw.startswith(b'"') else said


def _detail(said: _Body) -> str:
    """FastAPI's own errors: a text, or a list of places and what is wrong there."""
    raw = bytes(said.detail)
    if raw.startswith(b'"'):
        return _text(said.detail)
    try:
        return "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in _decode_places(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _text(raw: msgspec.Raw) -> str:
    return _decode_text(bytes(raw))


def _label(value: _Label) -> str:
    return "" if value is None else str(value)


def to_model_error(body: UpstreamErrorBody, model: str, after: float | None = None) -> ModelError:
    """What the engine is told. A TransientError may be tried again; `after` is the upstream's Retry-After in seconds."""
    message = _shortened(body.message)
    if _is_too_long(body):
        return ContextTooLong(message or "The prompt is too long for the model.")
    status = body.status
    if status in (401, 403):
        return ModelError(ErrorCode.SERVER_ERROR, "The upstream refused this server's API key.")
    if status == 404 or body.code == "model_not_found":
        return ModelError(ErrorCode.SERVER_ERROR, _not_found(body, model))
    if _is_policy(body):
        return ModelError(ErrorCode.INVALID_PROMPT, message or "The upstream's content policy refused the prompt.")
    if status == 429 or "rate_limit" in body.code + body.kind:
        return _limited(body, message, after)
    if status in _TRANSIENT_STATUS or status >= 500:
        return TransientError(ErrorCode.SERVER_ERROR, _failed(status, message), after)
    return ModelError(ErrorCode.SERVER_ERROR, _refused(status, message))


def _is_too_long(body: UpstreamErrorBody) -> bool:
    if body.code in _TOO_LONG_CODES or body.kind in _TOO_LONG_CODES:
        return True
    text = body.message.lower()
    return body.status in _TOO_LONG_STATUS and any(known in text for known in _TOO_LONG_TEXTS)


def _is_policy(body: UpstreamErrorBody) -> bool:
    if body.code in _POLICY_CODES or body.kind in _POLICY_CODES:
        return True
    text = body.message.lower()
    return body.status == 400 and ("content policy" in text or "content management policy" in text)


def _limited(body: UpstreamErrorBody, message: str, after: float | None) -> ModelError:
    text = message or "The upstream's rate limit is reached."
    if "insufficient_quota" in (body.code, body.kind):
        # A spent budget does not come back within a retry.
        return ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, text)
    return TransientError(ErrorCode.RATE_LIMIT_EXCEEDED, text, after)


def _not_found(body: UpstreamErrorBody, model: str) -> str:
    if body.code == "model_not_found" or "model" in body.message.lower():
        return f"The upstream has no model '{model}'."
    return f"The upstream has no chat completions for model '{model}'; its base URL usually ends in /v1."


def _failed(status: int, message: str) -> str:
    return f"The upstream failed with HTTP {status}" + (f": {message}" if message else ".")


def _refused(status: int, message: str) -> str:
    what = f"The upstream refused the request with HTTP {status}" if status else "The upstream failed"
    return what + (f": {message}" if message else ".")


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
