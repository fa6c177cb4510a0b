"""Raw bytes -> a checked body. One JSON parse; values are counted before it, depth before anything recursive looks."""

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar, cast

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from threadmill.domain.error import InvalidRequest
from threadmill.wire.request import json_text
from threadmill.wire.request.validation_error import describe_type, from_pydantic

MAX_DEPTH = 64
"""Nesting of objects and arrays in a body."""

MAX_VALUES = 100_000
"""Values of all kinds in a body: ten thousand messages have few more, and a parse of them takes some 15 ms."""

MAX_STRING = 8 * 1024 * 1024
"""Bytes of a string in a body, as it is written there: one is decoded at once, which takes some 20 ms at worst."""

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
        if not isinstance(value, dict):
            return value
        pairs = cast("dict[str, Any]", value)
        if len(pairs) > len(cls.model_fields):
            pairs = cls._without_further_unknowns(pairs)
        if None not in pairs.values():
            return pairs
        # An unknown parameter is told as such, also with a null.
        absent = cls.model_fields.keys() - cls.NULLABLE
        return {key: item for key, item in pairs.items() if item is not None or key not in absent}

    @classmethod
    def _without_further_unknowns(cls, pairs: dict[str, Any]) -> dict[str, Any]:
        """One unknown parameter is told; an error for each of a hundred thousand would take seconds."""
        known = {field.alias or name for name, field in cls.model_fields.items()}
        first = next((key for key in pairs if key not in known), None)
        return {key: item for key, item in pairs.items() if key in known or key == first}


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
    if json_text.has_more_values(raw, MAX_VALUES):
        raise InvalidRequest(f"Your request body has more than {MAX_VALUES} values.", code="invalid_json")
    if json_text.has_long_string(raw, MAX_STRING):
        text = f"Your request body has a string of more than {MAX_STRING} bytes."
        raise InvalidRequest(text, code="string_above_max_length")
    try:
        value = json_text.decode(raw)
    except ValueError:
        raise InvalidRequest(NOT_JSON) from None
    except RecursionError:
        raise _too_deep() from None
    # Few bodies have so many brackets at all; only those are walked.
    if json_text.has_more(raw, b"[{", MAX_DEPTH) and _is_too_deep(value):
        raise _too_deep()
    return value


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"Your request body is nested more than {MAX_DEPTH} levels deep.", code="invalid_json")


def _is_too_deep(value: object) -> bool:
    """Whether objects and arrays are nested more than MAX_DEPTH deep. Level by level, so that no string is looked at."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [one for outer in level for one in _members(outer) if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _members(outer: Any) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType] - JSON of the caller
