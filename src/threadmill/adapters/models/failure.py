"""What an upstream's failure means, in words a client may see: no key, no credentials, no prompt (ADR-0009)."""

import re
from typing import Any, cast

import msgspec

from threadmill.domain.outcome import ErrorCode
from threadmill.engine.ports.model import ContextTooLong, ModelError

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses worth another try before the first token."""

RATE_LIMITED, BAD_REQUEST, NOT_FOUND, TOO_LARGE = 429, 400, 404, 413
KEY_REFUSED = frozenset({401, 403})

CUT_OFF = "The upstream's answer was cut off."
SHOWN = 500
"""Characters of an upstream's own message shown to a client."""

_CONTEXT = re.compile(
    r"maximum context length|context[ _]length|context window|context size|too many tokens|prompt is too long"
    r"|input is too long|exceeds? the (available )?context|reduce the length",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b(?:sk|key)-[A-Za-z0-9_\-*.]{6,}|\bBearer [A-Za-z0-9_\-.]{6,}")


def from_status(status: int, body: bytes, secret: str | None) -> ModelError:
    """An HTTP error answer."""
    said, code = read(body)
    said = redact(said, secret)
    if status in KEY_REFUSED:
        return ModelError(ErrorCode.SERVER_ERROR, "The upstream refused this server's API key.")
    if status == RATE_LIMITED:
        return ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, said or "The upstream's rate limit is reached.")
    if status == NOT_FOUND:
        return ModelError(ErrorCode.SERVER_ERROR, said or "The upstream does not know this model or path (404).")
    return from_words(
        said or f"The upstream answered with status {status}.", code, is_client=status in (BAD_REQUEST, TOO_LARGE)
    )


def from_words(said: str, code: str, *, is_client: bool) -> ModelError:
    """An error told in words, by status or inside the stream."""
    if code == "context_length_exceeded" or (is_client and _CONTEXT.search(said)):
        return ContextTooLong(said)
    if code in ("rate_limit_exceeded", "insufficient_quota"):
        return ModelError(ErrorCode.RATE_LIMIT_EXCEEDED, said)
    if code in ("content_policy_violation", "invalid_prompt", "content_filter"):
        return ModelError(ErrorCode.INVALID_PROMPT, said)
    return ModelError(ErrorCode.SERVER_ERROR, said)


def from_stream(error: bytes, secret: str | None) -> ModelError:
    """An error object inside the stream."""
    said, code = read(b'{"error":%s}' % error)
    return from_words(redact(said, secret) or "The upstream reported an error in its stream.", code, is_client=True)


def read(body: bytes) -> tuple[str, str]:
    """Message and code of an error body in any of the usual shapes; nothing of a body that is no JSON."""
    try:
        value: object = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "", ""
    error: object = cast("dict[str, Any]", value).get("error", value) if isinstance(value, dict) else value
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return "", ""
    fields = cast("dict[str, Any]", error)
    said = fields.get("message") or fields.get("detail") or ""
    return str(said), str(fields.get("code") or fields.get("type") or "")


def redact(text: str, secret: str | None) -> str:
    """The text without the upstream's key or anything that looks like one, and not too long."""
    if secret:
        text = text.replace(secret, "***")
    return _KEY.sub("***", text)[:SHOWN]
