"""Errors on the wire: the body, and the ONE table from domain error to HTTP status and type (behaviour.md 8.2)."""

from typing import Any

import msgspec

from threadmill.domain import error as e

STATUS_OF: dict[type[e.ThreadmillError], tuple[int, str]] = {
    e.Invalid: (400, "invalid_request_error"),
    e.Unauthenticated: (401, "invalid_request_error"),
    e.NotFound: (404, "invalid_request_error"),
    e.Conflict: (400, "invalid_request_error"),
    e.Overloaded: (503, "server_error"),
    e.Unavailable: (503, "server_error"),
    e.LostRace: (503, "server_error"),
    e.ThreadmillError: (500, "server_error"),
}


def _row(error: e.ThreadmillError) -> tuple[int, str]:
    for kind in type(error).__mro__:
        if kind in STATUS_OF:
            return STATUS_OF[kind]
    return STATUS_OF[e.ThreadmillError]


def error_object(error: e.ThreadmillError) -> dict[str, Any]:
    """`{"error": {message, type, param, code}}`, keys in that order."""
    _, kind = _row(error)
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def error_response(error: e.ThreadmillError) -> tuple[int, bytes]:
    """HTTP status and body."""
    status, _ = _row(error)
    return status, _pretty(error_object(error))


def crash_response(request_id: str) -> tuple[int, bytes]:
    """An error nobody foresaw: the service's text, nothing of the inside (behaviour.md 8.3)."""
    text = (
        "The server had an error processing your request. Sorry about that! You can retry your request, or contact "
        f"the operator of this server if you keep seeing this error. (Please include the request ID {request_id}.)"
    )
    return 500, _pretty({"error": {"message": text, "type": "server_error", "param": None, "code": None}})


def unknown_url(method: str, path: str) -> tuple[int, bytes]:
    """No such route."""
    text = f"Invalid URL ({method} {path})"
    return 404, _pretty({"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}})


def wrong_method(method: str, path: str) -> tuple[int, bytes]:
    """The route does not know this method."""
    text = f"Not allowed to {method} on {path}."
    return 405, _pretty(
        {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": "method_not_supported"}}
    )


def _pretty(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
