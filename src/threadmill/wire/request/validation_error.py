"""What is wrong with a request, in the service's own words (behaviour.md 8.3). Clients match these texts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from pydantic_core import ErrorDetails, PydanticCustomError

from threadmill.domain.error import InvalidRequest

T = TypeVar("T")

UNION_TAG = "¦"
"""Opens the names of union members, so that `path` can leave them out: printable, and in no parameter of the API."""


def describe_type(value: object) -> str:
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


def missing(param: str) -> InvalidRequest:
    """A required parameter was left out, or is null."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def unknown(param: str) -> InvalidRequest:
    """A parameter nobody knows."""
    return InvalidRequest(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def wrong_type(param: str, expected: str, value: object) -> InvalidRequest:
    """`expected` has its article: "a string"."""
    text = f"Invalid type for '{param}': expected {expected}, but got {describe_type(value)} instead."
    return InvalidRequest(text, param=param, code="invalid_type")


def bad_value(value: str, supported: Sequence[str], param: str) -> InvalidRequest:
    """A text outside its closed set."""
    text = f"Invalid value: '{value}'. Supported values are: {_join_quoted(supported, 'and')}."
    return InvalidRequest(text, param=param, code="invalid_value")


def bad_id(value: str, prefix: str, param: str) -> InvalidRequest:
    """An id of another kind; the prefix is named without its underscore."""
    text = f"Invalid '{param}': '{value}'. Expected an ID that begins with '{prefix}'."
    return InvalidRequest(text, param=param, code="invalid_value")


def bad_url(param: str) -> InvalidRequest:
    """Something that cannot be fetched as a picture."""
    text = f"Invalid '{param}'. Expected a valid URL, but got a value with an invalid format."
    return InvalidRequest(text, param=param, code="invalid_value")


def out_of_range(param: str, value: float, bound: float, *, above: bool) -> InvalidRequest:
    """A number beyond its bound. A bound that is a float makes it a decimal, whatever the value."""
    kind = "decimal" if isinstance(bound, float) else "integer"
    side, sign, word = ("above maximum", "<=", "max") if above else ("below minimum", ">=", "min")
    expected = f"Expected a value {sign} {bound:g}" if kind == "decimal" else f"Expected a value {sign} {bound}"
    text = f"Invalid '{param}': {kind} {side} value. {expected}, but got {value} instead."
    return InvalidRequest(text, param=param, code=f"{kind}_{side.split()[0]}_{word}_value")


def too_long(param: str, limit: int, length: int) -> InvalidRequest:
    """A string of `length` characters where `limit` are allowed."""
    text = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead."
    )
    return InvalidRequest(text, param=param, code="string_above_max_length")


def empty_string(param: str) -> InvalidRequest:
    """A string that must say something."""
    text = f"Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string instead."
    return InvalidRequest(text, param=param, code="empty_string")


def too_many_items(param: str, limit: int, length: int) -> InvalidRequest:
    """An array of `length` items where `limit` are allowed."""
    text = (
        f"Invalid '{param}': array too long. Expected an array with maximum length {limit}, "
        f"but got an array with length {length} instead."
    )
    return InvalidRequest(text, param=param, code="array_above_max_length")


def empty_array(param: str) -> InvalidRequest:
    """An array that must have something in it."""
    text = f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    return InvalidRequest(text, param=param, code="empty_array")


def exclusive(first: str, second: str) -> InvalidRequest:
    """Two parameters of which at most one may be given."""
    text = (
        f"Mutually exclusive parameters: '{first}', '{second}'. "
        f"Ensure you are only providing one of: '{first}' or '{second}'."
    )
    return InvalidRequest(text, param=second, code="mutually_exclusive_parameters")


def too_many_properties(param: str, limit: int, count: int) -> InvalidRequest:
    """An object of `count` properties where `limit` are allowed."""
    text = (
        f"Invalid '{param}': too many properties. Expected an object with at most {limit} properties, "
        f"but got an object with {count} properties instead."
    )
    return InvalidRequest(text, param=param, code="object_above_max_properties")


def long_property_name(param: str, key: str, limit: int) -> InvalidRequest:
    """A key of `param` with more than `limit` characters."""
    text = (
        f"Invalid property name in '{param}': '{key}' is too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {len(key)} instead."
    )
    return InvalidRequest(text, param=f"{param}.{key}", code="property_name_above_max_length")


def bad_pattern(param: str, pattern: str) -> InvalidRequest:
    """A name with other characters than it may have."""
    text = f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{pattern}'."
    return InvalidRequest(text, param=param, code="invalid_value")


def deferred_error(make_error: Callable[[str], InvalidRequest]) -> PydanticCustomError:
    """For validators to raise: `make_error` is given the field's path in the body, which only Pydantic knows."""
    return PydanticCustomError("refused", "refused", {"make_error": make_error})


def apply_domain_check(check: Callable[[T, str], T], value: T) -> T:
    """`value`, if the domain's `check` takes it. For validators: what it says names the field's path in the body."""

    def make_error(at: str) -> InvalidRequest:
        try:
            check(value, at)
        except InvalidRequest as error:
            return error
        raise AssertionError("a rule that refused a value takes it now")

    try:
        return check(value, "")
    except InvalidRequest:
        raise deferred_error(make_error) from None


def from_pydantic(errors: Sequence[ErrorDetails]) -> InvalidRequest:
    """The first of Pydantic's errors as ours; unknown parameters are told last, they often explain nothing."""
    first = min(errors, key=lambda error: error["type"] == "extra_forbidden")
    kind, param, value = first["type"], param_path(first["loc"]), first["input"]
    if kind in _EXPECTED_TYPES:
        return wrong_type(param, _EXPECTED_TYPES[kind], value)
    return _ERROR_BUILDERS.get(kind, _other_error)(param, value, first.get("ctx") or {})


def param_path(loc: Sequence[int | str]) -> str:
    """`messages[0].content` from Pydantic's location; names of union members are left out."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part.startswith(UNION_TAG):
            text += f".{part}" if text else part
    return text


_Context: TypeAlias = Mapping[str, Any]
_ErrorBuilder: TypeAlias = Callable[[str, Any, _Context], InvalidRequest]

_EXPECTED_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "an array",
}
_JSON_TYPES = {"string": "string", "array": "array of objects", "object": "object"}


def _join_quoted(names: Sequence[str], word: str) -> str:
    """'a', 'b', and 'c'."""
    quoted = [f"'{name}'" for name in names]
    if len(quoted) > 2:
        return f"{', '.join(quoted[:-1])}, {word} {quoted[-1]}"
    return f" {word} ".join(quoted)


def _parse_choices(text: str) -> list[str]:
    """The names in Pydantic's list of what it expected: 'a', 'b' or 'c'."""
    return [name.strip("'").removeprefix(UNION_TAG) for name in text.replace(" or ", ", ").split(", ")]


def _union_error(param: str, value: Any, context: _Context) -> InvalidRequest:
    expected = _parse_choices(context["expected_tags"])
    if context["discriminator"].startswith("json_type_of"):
        return wrong_type(param, f"one of a {' or '.join(_JSON_TYPES[one] for one in expected)}", value)
    if not isinstance(value, dict):
        return wrong_type(param, "an object", value)
    kind = cast("dict[str, object]", value).get("type")
    return missing(f"{param}.type") if kind is None else _bad_value_or_type(f"{param}.type", kind, expected)


def _literal_error(param: str, value: Any, context: _Context) -> InvalidRequest:
    return _bad_value_or_type(param, value, _parse_choices(context["expected"]))


def _bad_value_or_type(param: str, value: object, expected: Sequence[str]) -> InvalidRequest:
    if isinstance(value, str):
        return bad_value(value, expected, param)
    return wrong_type(param, f"one of {_join_quoted(expected, 'or')}", value)


def _other_error(param: str, value: Any, context: _Context) -> InvalidRequest:
    # A kind of mistake no field of ours can make today: still a 400 that names the place.
    del value, context
    return InvalidRequest(f"Invalid '{param}'.", param=param, code="invalid_value")


_ERROR_BUILDERS: dict[str, _ErrorBuilder] = {
    "missing": lambda param, _, __: missing(param),
    "extra_forbidden": lambda param, _, __: unknown(param),
    "union_tag_invalid": _union_error,
    "literal_error": _literal_error,
    "string_too_long": lambda param, value, context: too_long(param, context["max_length"], len(value)),
    "string_too_short": lambda param, _, __: empty_string(param),
    "too_short": lambda param, _, __: empty_array(param),
    "too_long": lambda param, value, context: too_many_items(param, context["max_length"], len(value)),
    "less_than_equal": lambda param, value, context: out_of_range(param, value, context["le"], above=True),
    "greater_than_equal": lambda param, value, context: out_of_range(param, value, context["ge"], above=False),
    "string_pattern_mismatch": lambda param, _, context: bad_pattern(param, context["pattern"]),
    "refused": lambda param, _, context: context["make_error"](param),
}
