"""What Pydantic finds wrong, in the service's own words (behaviour.md 8.3). Clients match these texts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from threadmill.domain.error import Invalid

_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "an array",
    "tuple_type": "an array",
    "none_required": "null",
}


def name_of(value: object) -> str:
    """A JSON value's type with its article, as the service says it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def invalid(errors: Sequence[ErrorDetails]) -> Invalid:
    """The first of Pydantic's errors as ours; unknown parameters are told last, they often explain nothing.

    Of the errors of one union field the deepest is told: it belongs to the member the caller meant.
    """
    first = min(errors, key=lambda error: error["type"] == "extra_forbidden")
    related = [error for error in errors if error["loc"][:1] == first["loc"][:1]]
    told = max(related, key=lambda error: (error["type"] != "extra_forbidden", len(error["loc"])))
    return _translate(told, path(told["loc"]))


_UNIONS = frozenset({"tools", "content"})
_TAGS = frozenset({"function", "code_interpreter", "file_search", "text", "image_url", "image_file"})


def path(loc: Sequence[int | str]) -> str:
    """`messages[0].content` from Pydantic's location; names of union members are left out."""
    text, before = "", ("", "")
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" in part or part == "str" or part.endswith("Body"):
            continue
        elif before[1] == "#" and before[0] in _UNIONS and part in _TAGS:
            before = ("", "")
            continue
        else:
            text += f".{part}" if text else part
        before = (before[1], "#") if isinstance(part, int) else ("", part)
    return text


def _translate(error: ErrorDetails, param: str) -> Invalid:
    kind, value = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind in _TYPES:
        text = f"Invalid type for '{param}': expected {_TYPES[kind]}, but got {name_of(value)} instead."
        return Invalid(text, param=param, code="invalid_type")
    if kind in _KNOWN:
        return _KNOWN[kind](param, value, context)
    return Invalid(f"Invalid '{param}': {error['msg']}.", param=param, code="invalid_value")


def _missing(param: str, *_: object) -> Invalid:
    return Invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _unknown(param: str, *_: object) -> Invalid:
    return Invalid(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def _pattern(param: str, _: object, context: Mapping[str, Any]) -> Invalid:
    wanted = f"Expected a string that matches the pattern '{context['pattern']}'."
    return Invalid(f"Invalid '{param}': string does not match pattern. {wanted}", param=param, code="invalid_value")


def _own(param: str, _: object, context: Mapping[str, Any]) -> Invalid:
    cause = context["error"]
    return cause if isinstance(cause, Invalid) else Invalid(str(cause), param=param, code="invalid_value")


def bad_value(value: object, expected: str, param: str) -> Invalid:
    """A value outside its closed set. `expected` lists the set as Pydantic does: 'a', 'b' or 'c'."""
    supported = expected.replace(" or ", ", ").split(", ")
    *others, last = supported
    names = f"{', '.join(others)}{',' if others[1:] else ''} and {last}" if others else last
    shown = f"'{value}'" if isinstance(value, str) else str(value)
    return Invalid(f"Invalid value: {shown}. Supported values are: {names}.", param=param, code="invalid_value")


def out_of_range(param: str, value: object, bound: object, *, above: bool) -> Invalid:
    """A number beyond its bound."""
    kind = "decimal" if isinstance(value, float) or isinstance(bound, float) else "integer"
    side, sign, word = ("above maximum", "<=", "max") if above else ("below minimum", ">=", "min")
    if isinstance(bound, float) and bound.is_integer():
        bound = int(bound)
    text = f"Invalid '{param}': {kind} {side} value. Expected a value {sign} {bound}, but got {value} instead."
    return Invalid(text, param=param, code=f"{kind}_{side.split()[0]}_{word}_value")


def _string_too_long(param: str, value: Any, context: Mapping[str, Any]) -> Invalid:
    limit, got = context["max_length"], len(value)
    wanted = f"Expected a string with maximum length {limit}, but got a string with length {got} instead."
    return Invalid(f"Invalid '{param}': string too long. {wanted}", param=param, code="string_above_max_length")


def _string_too_short(param: str, _: Any, context: Mapping[str, Any]) -> Invalid:
    wanted = f"Expected a string with minimum length {context['min_length']}, but got an empty string instead."
    return Invalid(f"Invalid '{param}': empty string. {wanted}", param=param, code="empty_string")


def _array_too_long(param: str, value: Any, context: Mapping[str, Any]) -> Invalid:
    limit, got = context["max_length"], len(value)
    wanted = f"Expected an array with maximum length {limit}, but got an array with length {got} instead."
    return Invalid(f"Invalid '{param}': array too long. {wanted}", param=param, code="array_above_max_length")


_KNOWN: Mapping[str, Callable[[str, Any, Mapping[str, Any]], Invalid]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "union_tag_not_found": lambda param, _, __: _missing(f"{param}.type"),
    "union_tag_invalid": lambda param, _, ctx: bad_value(ctx["tag"], ctx["expected_tags"], f"{param}.type"),
    "literal_error": lambda param, value, ctx: bad_value(value, str(ctx["expected"]), param),
    "string_too_long": _string_too_long,
    "string_too_short": _string_too_short,
    "too_long": _array_too_long,
    "less_than_equal": lambda param, value, ctx: out_of_range(param, value, ctx["le"], above=True),
    "greater_than_equal": lambda param, value, ctx: out_of_range(param, value, ctx["ge"], above=False),
    "string_pattern_mismatch": _pattern,
    "value_error": _own,
}
"""Pydantic's kind of mistake -> the service's sentence."""
