"""Whatever is wrong with a request is told at its place, in the service's words, for every place of every operation."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.limits import BATCH, document
from tests.conformance.scope import gap_of
from tests.conformance.world import world
from tests.support.schema import Node, Operation, operations, plain_schemas
from tests.support.serving import Live
from tests.support.surface import PARAMETERS, Fact, body_schema, is_taken, schema_at

TELLS = {
    "invalid_type": r"Invalid type for '{}': expected .+, but got an? \w+ instead\.|"
    r"Invalid type for '{}': expected .+, but got null instead\.",
    "invalid_value": r"Invalid value: '.*'\. Supported values are: .+\.|Message content must be non-empty\.|"
    r"Invalid '{}'.*\. Expected .+\.|Invalid '{}': string does not match pattern\. .+",
    "missing_required_parameter": r"Missing required parameter: '{}'\.",
    "unknown_parameter": r"Unknown parameter: '{}'\.",
    "empty_string": r"Invalid '{}': empty string\. .+",
    **dict.fromkeys(
        (
            "integer_above_max_value",
            "integer_below_min_value",
            "decimal_above_max_value",
            "decimal_below_min_value",
        ),
        r"Invalid '{}': (integer|decimal) (above maximum|below minimum) value\. Expected a value [<>]= .+",
    ),
    "empty_array": r"Invalid '{}': empty array\. .+",
    "array_above_max_length": r"Invalid '{}': array too long\. .+",
}
"""What each code's text looks like; `{}` is the param."""

WRONG: tuple[Any, ...] = ("x", "", "1", "true", "null", 300, -1.5, True, [], [None], {}, {"surprise": 1})
"""Of each JSON type; numbers, booleans and null also as strings."""


LENIENT: tuple[tuple[str, Any], ...] = (("file_search", {}),)
"""Taken though the schema asks for more: an empty `tool_resources.file_search` has no stores."""


FORMS = ("POST /files", "POST /uploads/{upload_id}/parts")
"""Their bodies are no JSON."""


def with_bodies() -> list[str]:
    return [one.name for one in operations() if body_schema(one) and one.name not in FORMS and _is_here(one)]


def _is_here(operation: Operation) -> bool:
    return gap_of(Fact("status", operation.name, "200")) is None


def named(name: str) -> Operation:
    return next(one for one in operations() if one.name == name)


def places(operation: Operation) -> Iterator[tuple[str, list[Node]]]:
    """Every place of a body with its schemas; what lies inside free-form objects has none."""
    schema = body_schema(operation)
    for place in sorted({at for at, _ in PARAMETERS.offers(schema)}):
        if gap_of(Fact("parameter", f"{operation.name}#{place}", "")) is None and (found := schema_at(schema, place)):
            yield place, found


def is_told(error: dict[str, Any], place: str) -> bool:
    """The refusal names the place, or one inside it, with a text that belongs to its code."""
    param, at = error["param"] or "", place.replace("[]", "[0]")
    inside = param == at or param.startswith((f"{at}.", f"{at}["))
    pattern = TELLS[error["code"]].replace("{}", re.escape(param))
    return inside and error["type"] == "invalid_request_error" and bool(re.fullmatch(pattern, error["message"]))


@pytest.mark.parametrize("name", with_bodies())
async def test_a_wrong_type_or_value_at_any_place_is_told_there(live: Live, name: str) -> None:
    here, operation = await world(live), named(name)
    method, _, path = here.placed(name).partition(" ")
    for place, schemas in places(operation):
        for value in WRONG:
            if is_taken(schemas, value) or (place.rpartition(".")[2], value) in LENIENT:
                continue
            reply = await live.api.call(method, path, here.body(name, here.real(document(place, value))))
            assert reply.status == 400, (place, value, reply.body)
            assert is_told(reply.body["error"], place), (place, value, reply.body)


@pytest.mark.parametrize("name", with_bodies())
async def test_an_unknown_field_is_told_in_every_object(live: Live, name: str) -> None:
    here, operation = await world(live), named(name)
    method, _, path = here.placed(name).partition(" ")
    objects = {place.rpartition(".")[0] for place, _ in places(operation)}
    for place in sorted(objects):
        at = f"{place}.surprise" if place else "surprise"
        for value in (1, None):
            error = (await live.api.refused(method, path, here.body(name, here.real(document(at, value)))))[1]
            param = at.replace("[]", "[0]")
            assert (error["message"], error["param"], error["code"]) == (
                f"Unknown parameter: '{param}'.",
                param,
                "unknown_parameter",
            )


@pytest.mark.parametrize("name", with_bodies())
async def test_null_is_absent_and_what_is_required_is_missed(live: Live, name: str) -> None:
    operation = named(name)
    schema = body_schema(operation)
    schema = plain_schemas()[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    for field in schema["properties"]:
        here = await world(live)
        method, _, path = here.placed(name).partition(" ")
        reply = await live.api.call(method, path, here.body(name, {field: None}))
        if field in schema.get("required", []) and not is_taken([schema["properties"][field]], None):
            assert reply.body["error"] == {
                "message": f"Missing required parameter: '{field}'.",
                "type": "invalid_request_error",
                "param": field,
                "code": "missing_required_parameter",
            }
        elif not name.endswith("submit_tool_outputs") and (name, field) != (BATCH, "file_ids"):
            # This run has ended, and a batch needs one of two.
            assert reply.status == 200, (field, reply.body)


NO_OBJECTS = (b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b'{"a":1}{', b"\xff\xfe", b'{"a":NaN}')


async def test_a_body_that_is_no_object_is_refused_unless_nothing_need_be_said(live: Live) -> None:
    here = await world(live)
    for name in with_bodies():
        method, _, path = here.placed(name).partition(" ")
        for raw in NO_OBJECTS:
            reply = await live.api.call(method, path, raw=raw)
            assert reply.status == (200 if name in MAY_BE_EMPTY and not raw.strip() else 400), (name, raw)


MAY_BE_EMPTY = (
    "POST /threads",
    "POST /assistants/{assistant_id}",
    "POST /threads/{thread_id}",
    "POST /threads/{thread_id}/messages/{message_id}",
    "POST /threads/{thread_id}/runs/{run_id}",
    "POST /vector_stores",
    "POST /vector_stores/{vector_store_id}",
)
