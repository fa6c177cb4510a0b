"""A small valid instance of a JSON Schema, always the same: what the rehearsal answers when it is given no words."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

JsonValue: TypeAlias = "None | bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue]"
_Schema: TypeAlias = "Mapping[str, JsonValue]"

MAX_DEPTH = 16
"""Levels of nesting; a recursive schema is cut there."""

_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


def sample_text(schema: str) -> str:
    """An instance of the schema, both as JSON text; `{}` for what is no schema."""
    try:
        root = json.loads(schema)
    except ValueError:
        return "{}"
    return json.dumps(sample(cast("JsonValue", root)), ensure_ascii=False)


def first_argument(schema: str, text: str) -> dict[str, JsonValue] | None:
    """`text` as the first property an object schema has: its lines where that is an array. None if it has none."""
    try:
        root = _object(cast("JsonValue", json.loads(schema)))
    except ValueError:
        return None
    properties = _object(root.get("properties"))
    name = next(iter(properties), None)
    if name is None:
        return None
    is_array = _type(_object(properties[name])) == "array"
    return {name: [line.strip() for line in text.split("\n") if line.strip()] if is_array else text}


def sample(schema: JsonValue) -> JsonValue:
    """An instance of `schema`: its const, default, example or first enum where it has one, else the smallest value."""
    root = _object(schema)
    return _Sampler(root).value(root, 0)


def _object(value: JsonValue) -> _Schema:
    return value if isinstance(value, Mapping) else {}


def _array(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class _Sampler:
    """Carries the root, which `$ref` points into."""

    def __init__(self, root: _Schema) -> None:
        self._root: _Schema = root

    def value(self, schema: _Schema, depth: int) -> JsonValue:
        """An instance of one schema."""
        if depth > MAX_DEPTH:
            return None
        schema = self._resolved(schema, depth)
        for member in ("const", "default"):
            if member in schema:
                return schema[member]
        for member in ("enum", "examples"):
            if choices := _array(schema.get(member)):
                return choices[0]
        for member in ("anyOf", "oneOf"):
            if branches := _array(schema.get(member)):
                return self.value(_object(branches[0]), depth + 1)
        return self._typed(schema, depth)

    def _resolved(self, schema: _Schema, depth: int) -> _Schema:
        """The schema with its `$ref` followed and its `allOf` laid over it."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            target = self._target(reference)
            return self._resolved({**target, **rest}, depth + 1) if depth <= MAX_DEPTH else {}
        for part in _array(schema.get("allOf")):
            schema = _merge_all_of(schema, self._resolved(_object(part), depth + 1)) if depth <= MAX_DEPTH else schema
        return schema

    def _target(self, reference: str) -> _Schema:
        found: JsonValue = self._root
        for key in reference.removeprefix("#").strip("/").split("/"):
            found = _object(found).get(key.replace("~1", "/").replace("~0", "~")) if key else found
        return _object(found)

    def _typed(self, schema: _Schema, depth: int) -> JsonValue:
        match _type(schema):
            case "object":
                return self._members(schema, depth)
            case "array":
                return self._items(schema, depth)
            case "string":
                return _string(schema)
            case "integer" | "number" as kind:
                return _smallest_number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case _:
                return None

    def _members(self, schema: _Schema, depth: int) -> JsonValue:
        """The required members; all of them where nothing is said to be required."""
        properties = _object(schema.get("properties"))
        names = [name for name in _array(schema.get("required")) if isinstance(name, str)]
        return {name: self.value(_object(properties.get(name)), depth + 1) for name in names or properties}

    def _items(self, schema: _Schema, depth: int) -> JsonValue:
        count = min(int(_number(schema.get("minItems")) or 0), 100)
        return [self.value(_object(schema.get("items")), depth + 1) for _ in range(count)]


def _merge_all_of(schema: _Schema, part: _Schema) -> _Schema:
    merged = {**part, **{key: value for key, value in schema.items() if key != "allOf"}}
    merged["properties"] = {**_object(part.get("properties")), **_object(schema.get("properties"))}
    merged["required"] = [*_array(part.get("required")), *_array(schema.get("required"))]
    return merged if "allOf" not in schema else {**merged, "allOf": schema["allOf"]}


def _type(schema: _Schema) -> str | None:
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    if kinds := [one for one in _array(kind) if isinstance(one, str)]:
        return kinds[0]
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _string(schema: _Schema) -> str:
    text = _FORMATS.get(str(schema.get("format")), "example")
    least, most = _number(schema.get("minLength")) or 0, _number(schema.get("maxLength"))
    text = text.ljust(min(int(least), 10_000), "x")
    return text if most is None else text[: int(most)]


def _smallest_number(schema: _Schema, *, whole: bool) -> int | float:
    """The number nearest to 1 from below that the bounds allow; a multiple where one is asked for."""
    low, above = _number(schema.get("minimum")), _number(schema.get("exclusiveMinimum"))
    high, below = _number(schema.get("maximum")), _number(schema.get("exclusiveMaximum"))
    value: float = 1
    value = value if high is None else min(value, high)
    value = value if below is None else min(value, below - 1)
    value = value if low is None else max(value, low)
    value = value if above is None else max(value, above + 1)
    if step := _number(schema.get("multipleOf")):
        return _multiple(value, step, high)
    return int(-(-value // 1)) if whole else value


def _multiple(value: float, step: float, high: float | None) -> int | float:
    """The multiple of `step` at or above `value`, or the one below where that is too high."""
    above = step * -(-value // step)
    return above if high is None or above <= high else step * (high // step)
