"""Which schemas can be followed strictly."""

import time
from typing import Any

import pytest

from threadmill.domain.strict_schema import strict_problem

REQUIRED = "'required' is required to be supplied and to be an array including every key in properties."
CLOSED = "'additionalProperties' is required to be supplied and to be false."


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT: dict[str, Any] = {"type": "string"}

KEPT: list[Any] = [
    closed(),
    closed(a=TEXT, b={"type": ["string", "null"]}, c={"enum": ["x"]}),
    closed(a=closed(b={"type": "array", "items": closed(c=TEXT)})),
    closed(a={"anyOf": [closed(b=TEXT), {"type": "null"}]}) | {"$defs": {"d": closed(e={"$ref": "#/$defs/d"})}},
    closed() | {"type": ["object", "null"]},
    {"type": "object", "additionalProperties": False},
    closed(a=TEXT) | {"properties": {"a": True}, "anyOf": "no list", "$defs": [], "items": True},
    closed(a={"anyOf": [True]}),
]

BROKEN: list[Any] = [
    ({"type": "object", "properties": {"x": TEXT}}, f"In context=(), {CLOSED}"),
    (closed() | {"additionalProperties": True}, f"In context=(), {CLOSED}"),
    (closed(x=TEXT) | {"required": []}, f"In context=(), {REQUIRED} Missing 'x'."),
    (closed(x=TEXT) | {"required": "x"}, f"In context=(), {REQUIRED}"),
    (closed(x=TEXT) | {"required": ["x", "y"]}, f"In context=(), {REQUIRED} Extra required key 'y' supplied."),
    (closed(x=TEXT) | {"required": ["x", None]}, f"In context=(), {REQUIRED} Extra required key 'None' supplied."),
    (closed(x={"properties": {}}), f"In context=('properties', 'x'), {CLOSED}"),
    (closed(x={"type": "array"}), "In context=('properties', 'x'), array schema missing items."),
    (
        closed(x={"type": "array", "items": {"type": "object"}}),
        f"In context=('properties', 'x', 'items'), {CLOSED}",
    ),
    (closed(x={"anyOf": [TEXT, {"type": "object"}]}), f"In context=('properties', 'x', 'anyOf', '1'), {CLOSED}"),
    (closed() | {"$defs": {"d": {"type": "object"}}}, f"In context=('$defs', 'd'), {CLOSED}"),
    (closed(x={"oneOf": [TEXT]}), "In context=('properties', 'x'), 'oneOf' is not permitted."),
    (closed(a={"type": "object"}, b={"type": "array"}), f"In context=('properties', 'a'), {CLOSED}"),
    ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
    ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
]


@pytest.mark.parametrize("schema", KEPT)
def test_what_keeps_the_rules(schema: dict[str, Any]) -> None:
    assert strict_problem(schema) is None


@pytest.mark.parametrize(("schema", "problem"), BROKEN)
def test_the_first_rule_that_is_broken_is_told_where(schema: dict[str, Any], problem: str) -> None:
    assert strict_problem(schema) == problem


def test_a_large_schema_costs_little() -> None:
    wide = closed(**{f"p{number}": TEXT for number in range(20_000)})
    deep = TEXT
    for _ in range(64):
        deep = {"type": "array", "items": deep}
    began = time.process_time()
    assert strict_problem(wide) is None
    assert strict_problem(closed(deep=deep)) is None
    assert time.process_time() - began < 5
