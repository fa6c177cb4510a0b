"""Attributes of files, and filters over them (behaviour.md 7.3): decided before anything is scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from threadmill.domain.error import InvalidRequest

AttributeValue: TypeAlias = str | float | bool
"""A text, a number or a truth value."""

Attributes: TypeAlias = Mapping[str, AttributeValue]
"""A file's attributes, as given."""

MAX_ATTRIBUTES, MAX_KEY_LENGTH, MAX_VALUE_LENGTH = 16, 64, 512


class Comparator(StrEnum):
    """Comparisons of an attribute with a value, or with several for `in` and `nin`."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"


class LogicalOperator(StrEnum):
    """All of the parts, or any of them."""

    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`key` against `value`, which is a tuple exactly for `in` and `nin`."""

    type: Comparator
    key: str
    value: AttributeValue | tuple[AttributeValue, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    """Filters joined. `and` of nothing holds, `or` of nothing does not."""

    type: LogicalOperator
    filters: "tuple[Filter, ...]"


Filter: TypeAlias = Comparison | Compound


def predicate(wanted: Filter) -> Callable[[Attributes], bool]:
    """Whether a file with these attributes passes. Made once for many files: `in` looks into a set.

    A number is never equal to a text or a truth value, and order exists between two numbers or two texts only. An
    attribute the file lacks is equal to nothing: `ne` and `nin` hold for it, all else does not.
    """
    if isinstance(wanted, Compound):
        join = all if wanted.type is LogicalOperator.AND else any
        parts = [predicate(part) for part in wanted.filters]
        return lambda attributes: join(part(attributes) for part in parts)
    holds, key = _test(_NEGATED.get(wanted.type, wanted.type), wanted.value), wanted.key
    if wanted.type in _NEGATED:
        return lambda attributes: not holds(attributes.get(key))
    return lambda attributes: holds(attributes.get(key))


def check_attributes(attributes: Attributes, param: str = "attributes") -> Attributes:
    """`attributes` itself. Raises InvalidRequest, in the words of metadata (behaviour.md 8.3), when they break a limit."""
    if len(attributes) > MAX_ATTRIBUTES:
        text = (
            f"Invalid '{param}': too many properties. Expected an object with at most {MAX_ATTRIBUTES} properties, "
            f"but got an object with {len(attributes)} properties instead."
        )
        raise InvalidRequest(text, param=param, code="object_above_max_properties")
    for key, value in attributes.items():
        _check_pair(param, key, value)
    return attributes


def _check_pair(param: str, key: str, value: AttributeValue) -> None:
    if len(key) > MAX_KEY_LENGTH:
        text = (
            f"Invalid property name in '{param}': '{key}' is too long. Expected a string with maximum length "
            f"{MAX_KEY_LENGTH}, but got a string with length {len(key)} instead."
        )
        raise InvalidRequest(text, param=f"{param}.{key}", code="property_name_above_max_length")
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        text = (
            f"Invalid '{param}.{key}': string too long. Expected a string with maximum length {MAX_VALUE_LENGTH}, "
            f"but got a string with length {len(value)} instead."
        )
        raise InvalidRequest(text, param=f"{param}.{key}", code="string_above_max_length")


_Value: TypeAlias = AttributeValue | tuple[AttributeValue, ...] | None


def _kind(value: _Value) -> type | None:
    """What a value may be compared with: bool before number, since Python's True is a 1."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return float
    return str if isinstance(value, str) else None


def _equal(found: _Value, value: _Value) -> bool:
    return _kind(found) is not None and _kind(found) is _kind(value) and found == value


def _order(found: _Value, value: _Value) -> int | None:
    """-1, 0 or 1 as `found` is less than, equal to or more than `value`; None where there is no order."""
    if isinstance(found, str) and isinstance(value, str):
        return (found > value) - (found < value)
    if _kind(found) is float and isinstance(found, int | float) and _kind(value) is float:
        return _order_of_numbers(found, value)
    return None


def _order_of_numbers(found: float, value: _Value) -> int | None:
    return (found > value) - (found < value) if isinstance(value, int | float) else None


def _is_in(values: _Value) -> Callable[[_Value], bool]:
    known = frozenset((_kind(one), one) for one in values) if isinstance(values, tuple) else frozenset[object]()
    return lambda found: (_kind(found), found) in known


_NEGATED: dict[Comparator, Comparator] = {Comparator.NE: Comparator.EQ, Comparator.NIN: Comparator.IN}

_TESTS: dict[Comparator, Callable[[_Value, _Value], bool]] = {
    Comparator.EQ: _equal,
    Comparator.GT: lambda found, value: _order(found, value) == 1,
    Comparator.GTE: lambda found, value: _order(found, value) in (0, 1),
    Comparator.LT: lambda found, value: _order(found, value) == -1,
    Comparator.LTE: lambda found, value: _order(found, value) in (0, -1),
}


def _test(comparator: Comparator, value: _Value) -> Callable[[_Value], bool]:
    if comparator is Comparator.IN:
        return _is_in(value)
    test = _TESTS[comparator]
    return lambda found: test(found, value)
