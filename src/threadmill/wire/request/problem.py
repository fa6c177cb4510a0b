"""What Pydantic finds wrong, in the service's own words (behaviour.md 8.3). Clients match these texts."""

from collections.abc import Mapping, Sequence
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


def _translate(error: ErrorDetails, param: str) -> Invalid:  # noqa: PLR0911 - one line a kind of mistake
    kind, value = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind in _TYPES:
        text = f"Invalid type for '{param}': expected {_TYPES[kind]}, but got {name_of(value)} instead."
        return Invalid(text, param=param, code="invalid_type")
    match kind:
        case "missing":
            text = f"Missing required parameter: '{param}'."
            return Invalid(text, param=param, code="missing_required_parameter")
        case "union_tag_not_found":
            return Invalid(f"Missing required parameter: '{param}.type'.", param=f"{param}.type", code="missing_required_parameter")
        case "union_tag_invalid":
            return bad_value(context["tag"], context["expected_tags"], f"{param}.type")
        case "extra_forbidden":
            return Invalid(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
        case "literal_error" | "enum":
            return bad_value(value, str(context["expected"]), param)
        case "string_too_long" | "string_too_short":
            return _string_length(kind, value, context, param)
        case "too_long" | "too_short":
            return _array_length(kind, value, context, param)
        case "less_than_equal" | "greater_than_equal":
            return out_of_range(param, value, context.get("le", context.get("ge")), above=kind == "less_than_equal")
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            text = f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{pattern}'."
            return Invalid(text, param=param, code="invalid_value")
        case "value_error":
            cause = context["error"]
            return cause if isinstance(cause, Invalid) else Invalid(str(cause), param=param, code="invalid_value")
        case _:
            return Invalid(f"Invalid '{param}': {error['msg']}.", param=param, code="invalid_value")


def bad_value(value: object, expected: str, param: str) -> Invalid:
    """A value outside its closed set. `expected` lists the set as Pydantic does: 'a', 'b' or 'c'."""
    supported = expected.replace(" or ", ", ").split(", ")
    names = supported[0] if len(supported) == 1 else f"{', '.join(supported[:-1])} and {supported[-1]}"
    if len(supported) > 2:
        names = f"{', '.join(supported[:-1])}, and {supported[-1]}"
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


def _string_length(kind: str, value: Any, context: Mapping[str, Any], param: str) -> Invalid:
    if kind == "string_too_long":
        limit = context["max_length"]
        text = f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, but got a string with length {len(value)} instead."
        return Invalid(text, param=param, code="string_above_max_length")
    limit = context["min_length"]
    text = f"Invalid '{param}': empty string. Expected a string with minimum length {limit}, but got an empty string instead."
    return Invalid(text, param=param, code="empty_string")


def _array_length(kind: str, value: Any, context: Mapping[str, Any], param: str) -> Invalid:
    if kind == "too_long":
        limit, got = context["max_length"], len(value)
        text = f"Invalid '{param}': array too long. Expected an array with maximum length {limit}, but got an array with length {got} instead."
        return Invalid(text, param=param, code="array_above_max_length")
    limit = context["min_length"]
    text = f"Invalid '{param}': empty array. Expected an array with minimum length {limit}, but got an empty array instead."
    return Invalid(text, param=param, code="empty_array")
