"""A small valid instance of a JSON Schema, always the same: what the rehearsal answers when it is given no words."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

JsonValue: TypeAlias = "None | bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue]"
_Schema: TypeAlias = "Mapping[str, JsonValue]"

MAX_DEPTH = 16
"""Levels of nesting; a recursive schema is cut there."""

MAX_WORK = 20_000
"""Values, members and characters looked at or written for one instance, `allOf` and `$ref` included. A schema that is
recursive in two places has more instances than time: behind the bound optional members are left out, the rest is null.
"""

MAX_NUMBER = 1e15
"""Bounds beyond are no bounds: floats would lose the steps between."""

MIN_STEP = 1e-9

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


def sample_text(schema: str, *, member: str | None = None) -> str:
    """An instance of the schema, or of the one under `member`, both as JSON text; `{}` for what is no schema."""
    try:
        root = parse_json(schema)
    except ValueError:
        return "{}"
    return json.dumps(sample(root if member is None else _object(root).get(member)), ensure_ascii=False)


def parse_json(text: str) -> JsonValue:
    """The value of a JSON text. Raises ValueError, also for what is nested too deep to be read."""
    try:
        return cast("JsonValue", json.loads(text))
    except RecursionError:
        raise ValueError("The JSON is nested too deep.") from None


def first_argument(schema: str, text: str) -> dict[str, JsonValue] | None:
    """`text` as the first property an object schema has: its lines where that is an array. None if it has none."""
    try:
        root = _object(parse_json(schema))
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
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER:
        return value
    return None


class _Exhausted(Exception):
    """The work that one instance may cost is done."""


class _Sampler:
    """Carries the root, which `$ref` points into, and the work that is left."""

    def __init__(self, root: _Schema) -> None:
        self._root: _Schema = root
        self._left: int = MAX_WORK

    def value(self, schema: _Schema, depth: int) -> JsonValue:
        """An instance of one schema; null behind a bound."""
        try:
            self._charge(1)
            return None if depth > MAX_DEPTH else self._value(self._resolved(schema, depth), depth)
        except _Exhausted:
            return None

    def _charge(self, work: int) -> None:
        """Take `work` from what is left. Raises _Exhausted, from then on for everything."""
        self._left -= work
        if self._left < 0:
            raise _Exhausted

    def _given(self, value: JsonValue, depth: int = 0) -> JsonValue:
        """A value the schema names, if it is not too large to be written."""
        if depth > MAX_DEPTH:
            raise _Exhausted
        self._charge(1 + (len(value) if isinstance(value, str) else 0))
        if isinstance(value, int) and value.bit_length() > 64:
            self._charge(value.bit_length())
        if isinstance(value, Mapping):
            for key, member in value.items():
                self._charge(len(key))
                self._given(member, depth + 1)
        for item in _array(value):
            self._given(item, depth + 1)
        return value

    def _value(self, schema: _Schema, depth: int) -> JsonValue:
        for member in ("const", "default"):
            if member in schema:
                return self._given(schema[member])
        for member in ("enum", "examples"):
            if choices := _array(schema.get(member)):
                return self._given(choices[0])
        for member in ("anyOf", "oneOf"):
            if branches := _array(schema.get(member)):
                return self.value(_object(branches[0]), depth + 1)
        return self._typed(schema, depth)

    def _resolved(self, schema: _Schema, depth: int) -> _Schema:
        """The schema with its `$ref` followed and its `allOf` laid over it."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if depth > MAX_DEPTH:
                return {}
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            target = self._target(reference)
            self._charge(len(rest) + len(target))
            return self._resolved({**target, **rest}, depth + 1)
        if depth > MAX_DEPTH:
            return schema
        for part in _array(schema.get("allOf")):
            schema = self._merged(schema, self._resolved(_object(part), depth + 1))
        return schema

    def _merged(self, schema: _Schema, part: _Schema) -> _Schema:
        merged = _merge_all_of(schema, part)
        self._charge(1 + len(merged) + len(_object(merged["properties"])) + len(_array(merged["required"])))
        return merged

    def _target(self, reference: str) -> _Schema:
        self._charge(len(reference))
        found: JsonValue = self._root
        for key in reference.removeprefix("#").strip("/").split("/"):
            found = _object(found).get(key.replace("~1", "/").replace("~0", "~")) if key else found
        return _object(found)

    def _typed(self, schema: _Schema, depth: int) -> JsonValue:
        self._charge(len(_array(schema.get("type"))))
        match _type(schema):
            case "object":
                return self._members(schema, depth)
            case "array":
                return self._items(schema, depth)
            case "string":
                text = _string(schema)
                self._charge(len(text))
                return text
            case "integer" | "number" as kind:
                return _smallest_number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case _:
                return None

    def _members(self, schema: _Schema, depth: int) -> JsonValue:
        """The required members; all of them where nothing is said to be required."""
        properties = _object(schema.get("properties"))
        self._charge(len(_array(schema.get("required"))))
        names = [name for name in _array(schema.get("required")) if isinstance(name, str)]
        if names:
            return {name: self._required(name, properties, depth) for name in names}
        members: dict[str, JsonValue] = {}
        for name in properties:
            if self._left <= len(name):
                break
            members[name] = self._required(name, properties, depth)
        return members

    def _required(self, name: str, properties: _Schema, depth: int) -> JsonValue:
        self._charge(len(name))
        return self.value(_object(properties.get(name)), depth + 1)

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
    if (step := _number(schema.get("multipleOf"))) and step >= MIN_STEP:
        return _multiple(value, step, high)
    return int(-(-value // 1)) if whole else value


def _multiple(value: float, step: float, high: float | None) -> int | float:
    """The multiple of `step` at or above `value`, or the one below where that is too high."""
    above = step * -(-value // step)
    return above if high is None or above <= high else step * (high // step)
