"""Raw bytes -> a checked body. One JSON parse; depth bounded before anything recursive looks at it."""

import re
from typing import Any, ClassVar, TypeVar, cast

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from threadmill.domain.error import InvalidRequest
from threadmill.wire.request.validation_error import describe_type, from_pydantic

MAX_DEPTH = 64
"""Nesting of objects and arrays in a body."""

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
)


class Body(BaseModel):
    """Base of request bodies: strict types, unknown parameters refused, explicit nulls absent (behaviour.md 1.8)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    """Parameters whose null says something."""

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict) or None not in value.values():  # pyright: ignore[reportUnknownMemberType]
            return value  # pyright: ignore[reportUnknownVariableType] - JSON of the caller, checked next
        # An unknown parameter is told as such, also with a null.
        pairs = cast("dict[str, Any]", value)
        absent = cls.model_fields.keys() - cls.NULLABLE
        return {key: item for key, item in pairs.items() if item is not None or key not in absent}


B = TypeVar("B", bound=Body)


def parse(kind: type[B], raw: bytes, *, allow_empty: bool = False) -> B:
    """The body as `kind`; no bytes count as `{}` if `allow_empty`. Raises InvalidRequest with the service's text."""
    if allow_empty and not raw.strip():
        return kind()
    value = _decoded(raw)
    if not isinstance(value, dict):
        text = f"Invalid type for request body: expected an object, but got {describe_type(value)} instead."
        raise InvalidRequest(text, code="invalid_type")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise from_pydantic(error.errors(include_url=False)) from None


def to_json(value: object) -> str:
    """A caller's own document as compact text, key order kept."""
    return msgspec.json.encode(value).decode()


def _decoded(raw: bytes) -> object:
    try:
        # Strict where the standard library is not: no NaN, no infinite number, no lone surrogate, UTF-8 only.
        value: object = msgspec.json.decode(raw)
    except ValueError:
        raise InvalidRequest(NOT_JSON) from None
    except RecursionError:
        raise _too_deep() from None
    if _is_too_deep(raw):
        raise _too_deep()
    return value


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"Your request body is nested more than {MAX_DEPTH} levels deep.", code="invalid_json")


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
"""Strings and brackets of valid JSON."""

_DEPTH_CHANGE = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def _is_too_deep(raw: bytes) -> bool:
    # Few bodies have so many brackets at all; only those are walked.
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for mark in _TOKENS.finditer(raw):
        depth += _DEPTH_CHANGE.get(mark[0], 0)
        if depth > MAX_DEPTH:
            return True
    return False
