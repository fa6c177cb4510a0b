"""Errors on the wire: the body, and the ONE table from domain error to HTTP status and type (behaviour.md 8.2)."""

import msgspec

from threadmill.domain import error as e
from threadmill.wire.tool_response import Json

STATUS_AND_TYPE: dict[type[e.ThreadmillError], tuple[int, str]] = {
    e.InvalidRequest: (400, "invalid_request_error"),
    e.Unauthenticated: (401, "invalid_request_error"),
    e.Forbidden: (403, "invalid_request_error"),
    e.NotFound: (404, "invalid_request_error"),
    e.Conflict: (400, "invalid_request_error"),
    e.Unavailable: (503, "server_error"),
    e.VersionConflict: (503, "server_error"),
    e.ThreadmillError: (500, "server_error"),
}


SERVER_ERROR = 500

CONCURRENT_UPDATE = "Somebody else changed this object at the same time, again and again. Please try again."
"""A lost race is told without its cause, which names rows and versions."""


def _status_and_type(error: e.ThreadmillError) -> tuple[int, str]:
    return next(STATUS_AND_TYPE[kind] for kind in type(error).__mro__ if kind in STATUS_AND_TYPE)


def error_object(error: e.ThreadmillError) -> Json:
    """`{"error": {message, type, param, code}}`, keys in that order."""
    message = CONCURRENT_UPDATE if isinstance(error, e.VersionConflict) else error.message
    return {"error": {"message": message, "type": _status_and_type(error)[1], "param": error.param, "code": error.code}}


def error_response(error: e.ThreadmillError, path: str = "") -> tuple[int, bytes]:
    """HTTP status and body. The service says errors of /files twice (behaviour.md 0.12)."""
    shown = error_object(error)
    if path.startswith("/v1/files"):
        shown["detail"] = {"message": shown["error"]["message"], "code": None}
    return _status_and_type(error)[0], _to_json(shown)


def crash_response(request_id: str) -> tuple[int, bytes]:
    """An error nobody foresaw: the service's text, nothing of the inside (behaviour.md 8.3).

    Its help center is not this server's, so the text names the operator in its place.
    """
    text = (
        "The server had an error processing your request. Sorry about that! You can retry your request, or contact "
        f"the operator of this server if you keep seeing this error. (Please include the request ID {request_id}.)"
    )
    return 500, _error_body(text, "server_error")


def protocol_error(status: int, message: str, code: str) -> bytes:
    """The body for what is refused before it is a request."""
    return _error_body(message, "server_error" if status >= SERVER_ERROR else "invalid_request_error", code)


def unknown_url(method: str, path: str, meant: str | None = None) -> tuple[int, bytes]:
    """No such route; `meant` is the one that may have been."""
    hint = f". Did you mean {meant}? The base URL of a client ends in /v1." if meant else ""
    return 404, _error_body(f"Invalid URL ({method} {path}){hint}", "invalid_request_error")


def wrong_method(method: str, path: str) -> tuple[int, bytes]:
    """The route does not know this method."""
    return 405, _error_body(f"Not allowed to {method} on {path}.", "invalid_request_error", "method_not_supported")


def _error_body(message: str, kind: str, code: str | None = None) -> bytes:
    return _to_json({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _to_json(value: Json) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
