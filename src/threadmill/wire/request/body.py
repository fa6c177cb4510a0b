"""Raw bytes -> a checked body. One JSON parse; depth bounded before anything recursive looks at it."""

import json
import re
from itertools import accumulate
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from threadmill.domain.error import Invalid
from threadmill.wire.request.problem import invalid, name_of

MAX_DEPTH = 64
"""Nesting of objects and arrays in a body."""

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
)


class Body(BaseModel):
    """Base of request bodies: strict types, unknown parameters refused, values never changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


B = TypeVar("B", bound=Body)


def parse(kind: type[B], raw: bytes, *, may_be_empty: bool = False) -> B:
    """The body as `kind`. Top-level nulls count as absent. Raises Invalid with the service's text."""
    if not raw.strip() and may_be_empty:
        return kind()
    value = _object(raw)
    try:
        # Explicit nulls mean absent (behaviour.md 1.8); where null is a value, the model's default says so too.
        return kind.model_validate(
            {key: item for key, item in value.items() if item is not None or _keeps_null(kind, key)}
        )
    except ValidationError as error:
        raise invalid(error.errors(include_url=False)) from None


def _keeps_null(kind: type[Body], key: str) -> bool:
    return key not in kind.model_fields


def _object(raw: bytes) -> dict[str, Any]:
    try:
        _check_depth(raw)
        value = json.loads(raw, parse_constant=_no_constant)
        if b"\\u" in raw:
            # Half a surrogate pair is no text: nothing behind this door could write it.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Invalid(NOT_JSON) from None
    if not isinstance(value, dict):
        text = f"Invalid type for request body: expected an object, but got {name_of(value)} instead."
        raise Invalid(text, code="invalid_type")
    return value  # pyright: ignore[reportUnknownVariableType] - JSON of the caller, checked next


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def _check_depth(raw: bytes) -> None:
    # Few bodies have so many brackets at all; only those are looked at closely.
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    brackets = _BRACKETS.findall(_TEXTS.sub(b"", raw))
    depths = accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)
    if max(depths, default=0) > MAX_DEPTH:
        raise Invalid(f"Your request body is nested more than {MAX_DEPTH} levels deep.", code="invalid_json")


def to_json(value: object) -> str:
    """A caller's own document as compact text, key order kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
