"""One checker of everything the server says against the pinned schema, `spec/openapi.yaml`.

Objects are taken as closed: a field the schema does not name is a mistake, unless a row of `wire/deviations.py` names
it. A row no check needed is told by `unused_rows`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import jsonschema_rs
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match  # pyright: ignore[reportUnknownVariableType] - untyped
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType] - untyped

from threadmill.wire.deviations import ADDED_OPERATIONS, DEVIATIONS, AddedOperation, Deviation, Kind
from tools.cut_commands import with_additions

SPEC = Path(__file__).parents[2] / "spec" / "openapi.yaml"

Node: TypeAlias = dict[str, Any]
"""A piece of JSON Schema."""

_ROW = "x-row"


class SchemaError(AssertionError):
    """An answer that is not as the schema and the deviations say."""


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's takes a fifth of the time, in each of a run's processes."""


def spec_as_published() -> Node:
    """The pinned spec."""
    return cast("Node", yaml.load(SPEC.read_text(), _LOADER))


@cache
def spec() -> Node:
    """The pinned spec, with the parameters that are ours."""
    return with_additions(spec_as_published())


class SchemaChecker:
    """Checks answers and events; remembers which rows were needed.

    `recorded`: for what the service itself sent, so that what it leaves out may be missing.
    `quick`: for thousands of exchanges: only what is wrong is looked at closely, and no row is remembered.
    """

    def __init__(self, *, recorded: bool = False, quick: bool = False) -> None:
        self._schemas: Node = _closed_schemas()
        self._used: set[int] = set()
        self._is_quick = quick
        self._compiled: dict[str, jsonschema_rs.Draft202012Validator] = {}
        for number, row in enumerate(DEVIATIONS):
            if row.kind is not Kind.OMITTED_BY_SERVICE:
                _apply(self._schemas, number, row)
            elif recorded:
                self._schemas[row.object]["required"].remove(row.field)
                self._schemas[row.object][_ROW] = [*self._schemas[row.object].get(_ROW, []), number]
        self._validator: Any = extend(Draft202012Validator, {_ROW: self._saw})
        self._events: Node = dict(events_in(self._schemas))

    def check_response(self, method: str, path: str, status: int, body: bytes | object) -> None:
        """`path` as in the spec or as asked for, with or without /v1. Raises SchemaError."""
        where = f"{method.upper()} {path} {status}"
        value: object = json.loads(body) if isinstance(body, bytes) else body
        if status >= 400:
            self._check(where, {"$ref": "#/components/schemas/ErrorResponse"}, value)
            return
        self._check(where, self._answer_of(method, path, status), value)

    def check_event(self, name: str, data: str | bytes | object) -> None:
        """One SSE event. Raises SchemaError."""
        if name not in self._events:
            raise SchemaError(f"{name} is no event of the schema")
        value: object = data
        if isinstance(data, str | bytes) and name != "done":
            value = json.loads(data)
        self._check(name, self._events[name], value)

    def unused_rows(self) -> list[Deviation]:
        """Rows nothing checked so far had need of."""
        return [row for number, row in enumerate(DEVIATIONS) if number not in self._used]

    def _check(self, where: str, schema: Node, value: object) -> None:
        document = {**schema, "components": {"schemas": self._schemas}}
        if self._is_quick and self._is_plainly_valid(document, value):
            return
        errors: list[ValidationError] = list(self._validator(document).iter_errors(value))
        if errors:
            error = cast("ValidationError", best_match(errors))
            raise SchemaError(f"{where}: {error.json_path}: {error.message}")

    def _is_plainly_valid(self, document: Node, value: object) -> bool:
        schema = json.dumps({name: node for name, node in document.items() if name != "components"})
        if schema not in self._compiled:
            self._compiled[schema] = jsonschema_rs.Draft202012Validator(document)
        return self._compiled[schema].is_valid(value)

    def _answer_of(self, method: str, path: str, status: int) -> Node:
        operation = find_operation(method, path).node
        if isinstance(operation, AddedOperation):
            return cast("Node", json.loads(operation.response_schema))
        answer = operation["responses"][str(status)]
        return in_plain_words(answer["content"]["application/json"]["schema"])

    def _saw(self, validator: Any, numbers: Any, instance: Any, schema: Node) -> Iterator[ValidationError]:
        del validator, schema
        for number in cast("list[int]", numbers):
            row = DEVIATIONS[number]
            if row.kind is not Kind.OMITTED_BY_SERVICE or row.field not in instance:
                self._used.add(number)
        yield from ()


class Operation(NamedTuple):
    """One operation: `name` is `GET /threads/{thread_id}`."""

    name: str
    node: Node | AddedOperation

    @property
    def path(self) -> str:
        """The path with its parameters' names."""
        return self.name.partition(" ")[2]


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation of the spec, and ours. A literal path stands before one with a parameter in that place."""
    paths: Mapping[str, Node] = spec()["paths"]
    found = [
        Operation(f"{method.upper()} {path}", node)
        for path in paths
        for method, node in paths[path].items()
        if method in ("get", "post", "delete")
    ]
    found += [Operation(f"{added.method} {added.path}", added) for added in ADDED_OPERATIONS]
    return tuple(sorted(found, key=lambda one: one.path.count("{")))


def find_operation(method: str, path: str) -> Operation:
    """The operation a request is of, whatever its prefix and query. Raises SchemaError."""
    # /threads/runs is no thread: the order of `operations` sees to that.
    bare = re.sub(r"^/(v1|openai(/v1)?)(?=/)", "", path.split("?", maxsplit=1)[0])
    for operation, pattern in _patterns():
        if pattern.fullmatch(f"{method.upper()} {bare}"):
            return operation
    raise SchemaError(f"{method} {path} is no operation of the schema")


@cache
def _patterns() -> tuple[tuple[Operation, re.Pattern[str]], ...]:
    return tuple((one, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", one.name))) for one in operations())


@cache
def plain_schemas() -> Node:
    """The components as the service published them, nullable said in JSON Schema's words."""
    return {name: in_plain_words(_anchored(node, name)) for name, node in spec()["components"]["schemas"].items()}


def _anchored(node: Any, name: str) -> Any:
    """2019's `$recursiveRef` as a reference to the schema it stands in."""
    if isinstance(node, list):
        return [_anchored(item, name) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    if "$recursiveRef" in node:
        return {"$ref": f"#/components/schemas/{name}"}
    return {key: _anchored(item, name) for key, item in cast("Node", node).items()}


def _closed_schemas() -> Node:
    return {name: _closed(node) for name, node in deepcopy(plain_schemas()).items()}


def in_plain_words(node: Any) -> Any:
    """OpenAPI 3.0's `nullable`, which this spec still uses beside 3.1's types, in JSON Schema's own words."""
    if isinstance(node, list):
        return [in_plain_words(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    plain = {key: in_plain_words(item) for key, item in cast("Node", node).items()}
    members: list[Any] = plain.get("allOf", [])
    nullable = plain.pop("nullable", False) is True
    if {"anyOf": [{}, {"type": "null"}]} in members:
        plain["allOf"] = [one for one in members if one != {"anyOf": [{}, {"type": "null"}]}]
        nullable = True
    return {"anyOf": [plain, {"type": "null"}]} if nullable else plain


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    pairs = cast("Node", node)
    closed = {key: _closed(item) for key, item in pairs.items()}
    # A map of properties may itself have one that is called `properties`; its `type` is then no text.
    is_schema = isinstance(pairs.get("properties"), dict) and isinstance(pairs.get("type", "object"), str)
    if is_schema and "additionalProperties" not in pairs:
        closed["additionalProperties"] = False
    return closed


def _apply(schemas: Node, number: int, row: Deviation) -> None:
    properties, name = _place(schemas[row.object], row.field)
    allowed = {**json.loads(row.schema), _ROW: [number]}
    if row.kind is Kind.ADDED:
        assert name not in properties, f"the schema knows {row.object}.{row.field}"
        properties[name] = allowed
    else:
        # In this order: the row counts as needed only for what the schema itself does not allow.
        properties[name] = {"anyOf": [properties[name], allowed]}


def _place(node: Node, field: str) -> tuple[Node, str]:
    first, _, rest = field.partition(".")
    while "anyOf" in node:
        node = node["anyOf"][0]
    return _place(node["properties"][first], rest) if rest else (node["properties"], first)


def events_in(schemas: Node) -> Iterator[tuple[str, Node]]:
    """Every stream event with the schema of its data."""
    for group in ("ThreadStreamEvent", "RunStreamEvent", "RunStepStreamEvent", "MessageStreamEvent"):
        for member in schemas[group]["oneOf"]:
            yield member["properties"]["event"]["enum"][0], member["properties"]["data"]
    yield "error", schemas["ErrorEvent"]["properties"]["data"]
    yield "done", schemas["DoneEvent"]["properties"]["data"]


CHECKER = SchemaChecker()
"""The test session's checker; tests of other rooms call the three functions below."""

check_response = CHECKER.check_response
check_event = CHECKER.check_event
unused_rows = CHECKER.unused_rows
