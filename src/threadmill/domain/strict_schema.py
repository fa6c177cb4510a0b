"""What a JSON Schema must keep to be followed strictly: every object closed, every property required.

The texts are the service's (from clients' bug reports). Each part of a schema is looked at once.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

Schema: TypeAlias = Mapping[str, object]
Context: TypeAlias = tuple[str, ...]

_FORBIDDEN = ("oneOf", "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas")
_REQUIRED = "'required' is required to be supplied and to be an array including every key in properties."


def strict_problem(schema: Schema) -> str | None:
    """The first rule the schema breaks, in the service's words; None if it breaks none."""
    if not _is_object(schema):
        kind = schema.get("type", "None")
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    waiting: list[tuple[Context, Schema]] = [((), schema)]
    while waiting:
        context, part = waiting.pop()
        if (problem := _problem_of(part)) is not None:
            return f"In context={context!r}, {problem}"
        waiting += reversed(list(_inside(context, part)))
    return None


def _is_object(part: Schema) -> bool:
    kind = part.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _problem_of(part: Schema) -> str | None:
    for name in _FORBIDDEN:
        if name in part:
            return f"'{name}' is not permitted."
    if part.get("type") == "array" and "items" not in part:
        return "array schema missing items."
    return _object_problem(part) if _is_object(part) or "properties" in part else None


def _object_problem(part: Schema) -> str | None:
    if part.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties, required = _members(part, "properties"), part.get("required", [])
    if not isinstance(required, list):
        return _REQUIRED
    names = {name for name in cast("list[object]", required) if isinstance(name, str)}
    if missing := next((name for name in properties if name not in names), None):
        return f"{_REQUIRED} Missing '{missing}'."
    for name in cast("list[object]", required):
        if not isinstance(name, str) or name not in properties:
            return f"{_REQUIRED} Extra required key '{name}' supplied."
    return None


def _members(part: Schema, name: str) -> Schema:
    found = part.get(name)
    return cast("Schema", found) if isinstance(found, dict) else {}


def _inside(context: Context, part: Schema) -> Iterator[tuple[Context, Schema]]:
    """The schemas that stand in it, in the order in which they are looked at."""
    for name in ("properties", "$defs", "definitions"):
        for key, inner in _members(part, name).items():
            if isinstance(inner, dict):
                yield (*context, name, key), cast("Schema", inner)
    if isinstance(items := part.get("items"), dict):
        yield (*context, "items"), cast("Schema", items)
    options = part.get("anyOf")
    for index, inner in enumerate(cast("list[object]", options) if isinstance(options, list) else ()):
        if isinstance(inner, dict):
            yield (*context, "anyOf", str(index)), cast("Schema", inner)
