"""The one checker: every response and SSE event of a test against the pinned spec (style 8.2)."""

import re
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from threadmill.wire.deviations import DEVIATIONS, Deviation

SPEC = Path(__file__).parent.parent.parent / "spec" / "openapi.yaml"
Json = dict[str, Any]

used: set[Deviation] = set()
"""Rows of the list that some answer needed."""


@cache
def spec() -> Json:
    """The pinned spec, made plain JSON Schema: `nullable` becomes a type."""
    return cast("Json", _plain(yaml.load(SPEC.read_text(), Loader=yaml.CSafeLoader)))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    made: Json = {key: _plain(item) for key, item in cast("Json", value).items() if not str(key).startswith("x-")}
    made.pop("discriminator", None)
    # An allOf with a bare `nullable: true` beside a $ref means: that, or null.
    parts = made.get("allOf")
    if isinstance(parts, list) and {"nullable": True} in parts:
        rest = [part for part in cast("list[Json]", parts) if part != {"nullable": True}]
        return {"anyOf": [{"allOf": rest}, {"type": "null"}]}
    if made.pop("nullable", False) is True:
        return {"anyOf": [made, {"type": "null"}]}
    return made


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": spec()["components"]})


SCHEMA_OF_EVENT = {
    "thread.created": "ThreadObject",
    "thread.message.delta": "MessageDeltaObject",
    "thread.run.step.delta": "RunStepDeltaObject",
    "error": "ErrorResponse",
}


def schema_of_event(name: str) -> str:
    """The schema of an event's data."""
    if name in SCHEMA_OF_EVENT:
        return SCHEMA_OF_EVENT[name]
    if name.startswith("thread.message."):
        return "MessageObject"
    return "RunStepObject" if name.startswith("thread.run.step.") else "RunObject"


def check_event(name: str, data: Json) -> None:
    """Fails unless the event's data is what the spec says, less the listed deviations."""
    assert name == "error" or name in _event_names(), f"the spec knows no event {name}"
    check(schema_of_event(name), data)


@cache
def _event_names() -> frozenset[str]:
    return frozenset(re.findall(r"thread\.[a-z_.]+", SPEC.read_text()))


def check_response(method: str, path: str, status: int, body: Json) -> None:
    """Fails unless an answer is what the spec says of its operation; every error has the official body."""
    if status >= 400:
        check("ErrorResponse", body)
        assert list(body["error"]) == ["message", "type", "param", "code"]
        return
    operation = _operation(method, path)
    if operation is None:
        assert path in OURS, f"the spec has no {method} {path}"
        return
    content = operation["responses"]["200"]["content"]["application/json"]["schema"]
    check(content["$ref"].rsplit("/", 1)[1], body)


OURS = frozenset({"/threads"})
"""Paths we add to the wire (design.md 1)."""


@cache
def _operation(method: str, path: str) -> Json | None:
    for template, operations in spec()["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        exact = template == path or ("{" in template and re.fullmatch(pattern, path))
        if exact and method.lower() in operations and not (template != path and path in spec()["paths"]):
            return operations[method.lower()]
    return None


def check(schema: str, value: Json) -> None:
    """Fails unless `value` is a `schema`, less the listed deviations."""
    for problem in cast("list[ValidationError]", list(_validator(schema).iter_errors(value))):  # pyright: ignore[reportUnknownMemberType] - jsonschema types it loosely
        _explain(schema, problem)


def _explain(schema: str, problem: ValidationError) -> None:
    place = ".".join(str(part) for part in problem.absolute_path if not isinstance(part, int))
    for row in (row for row in DEVIATIONS if row.breaks):
        if row.schema == schema and (row.field == place or place.endswith(f".{row.field}") or _under(problem, row)):
            used.add(row)
            return
    raise AssertionError(f"{schema}.{place}: {problem.message[:300]}")


def _under(problem: ValidationError, row: Deviation) -> bool:
    """A union's complaint is explained if a row explains the place one of its members complains about."""
    inner = list(problem.context or [])
    return any(
        ".".join(str(p) for p in one.absolute_path if not isinstance(p, int)) == row.field or _under(one, row)
        for one in inner
    )
