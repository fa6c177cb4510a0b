"""What of the pinned spec a test can show: operations, parameters, closed values, stream events; and what a request or
an answer has shown of it. Both are the same walk over the schema."""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, TypeAlias, cast

from jsonschema_rs import Draft202012Validator

from tests.support.schema import Node, Operation, events_in, in_plain_words, operations, plain_schemas
from threadmill.wire.deviations import AddedOperation

ANY = ""
"""The value of a place without a closed set."""

DEEPEST = 12
"""Levels of the spec that are walked; a parameter is never so deep, a schema that contains itself is."""

Found: TypeAlias = tuple[str, str]
"""A place, and its closed value; ANY that it is there; `<string>` or `<array>` which of several shapes it has."""


class Fact(NamedTuple):
    """Something a test can show.

    `status`: operation, HTTP status. `parameter`: operation#parameter, value. `value`: Schema.field, value.
    `event`: event, operation or ANY. `client`: user agent, operation or helper.
    """

    kind: str
    place: str
    value: str


class Walk:
    """A way over schemas. `by_schema`: places are named from the nearest named schema, else from the document's root."""

    def __init__(self, *, by_schema: bool) -> None:
        self._by_schema = by_schema

    def offers(self, node: Node, at: str = "", inside: tuple[str, ...] = ()) -> Iterator[Found]:
        """Every place and closed value a schema has; one that contains itself is walked once."""
        name = str(node.get("$ref", ""))
        if name and name in inside:
            return
        inside = (*inside, name) if name else inside
        node, at = self._named(node, at)
        yield from ((at, value) for value in (*_closed(node), *_shapes(node)))
        for member in _members(node):
            yield from self.offers(member, at, inside)
        for name, child in _properties(node).items():
            yield _join(at, name), ANY
            yield from self.offers(child, _join(at, name), inside)
        if "items" in node:
            yield from self.offers(node["items"], f"{at}[]", inside)

    def uses(self, node: Node, value: Any, at: str = "") -> Iterator[Found]:
        """The places and closed values a document has of a schema."""
        node, at = self._named(node, at)
        yield from ((at, closed) for closed in _closed(node) if closed == _said(value))
        yield from ((at, shape) for shape in _shapes(node) if isinstance(value, _SHAPES[shape]))
        for member in _members(node):
            if _takes(member, value):
                yield from self.uses(member, value, at)
        if isinstance(value, dict):
            for name, item in cast("Node", value).items():
                if name in _properties(node):
                    yield _join(at, name), ANY
                    yield from self.uses(_properties(node)[name], item, _join(at, name))
        if isinstance(value, list) and "items" in node:
            for item in cast("list[Any]", value):
                yield from self.uses(node["items"], item, f"{at}[]")

    def _named(self, node: Node, at: str) -> tuple[Node, str]:
        while "$ref" in node:
            name = str(node["$ref"]).rsplit("/", 1)[1]
            node, at = plain_schemas()[name], name if self._by_schema else at
        return node, at


PARAMETERS, VALUES = Walk(by_schema=False), Walk(by_schema=True)

_SHAPES: dict[str, type] = {"<string>": str, "<array>": list}


def body_schema(operation: Operation) -> Node:
    """What an operation takes, as JSON or as a form; empty if nothing."""
    return _body_schemas()[operation.name]


def answer_schema(operation: Operation) -> Node:
    """What an operation answers as JSON with 200; empty if nothing."""
    return _answer_schemas()[operation.name]


@cache
def _body_schemas() -> dict[str, Node]:
    return {operation.name: _body_schema(operation) for operation in operations()}


@cache
def _answer_schemas() -> dict[str, Node]:
    return {operation.name: _answer_schema(operation) for operation in operations()}


def _body_schema(operation: Operation) -> Node:
    if isinstance(operation.node, AddedOperation):
        return {}
    content: Node = operation.node.get("requestBody", {}).get("content", {})
    schemas = [kind["schema"] for kind in content.values()]
    return in_plain_words(schemas[0]) if schemas else {}


def _answer_schema(operation: Operation) -> Node:
    if isinstance(operation.node, AddedOperation):
        return {}
    content: Node = operation.node["responses"]["200"].get("content", {})
    return in_plain_words(content.get("application/json", {}).get("schema", {}))


def query_schemas(operation: Operation) -> dict[str, Node]:
    """The query parameters."""
    if isinstance(operation.node, AddedOperation):
        return {name: {} for name in operation.node.query}
    return {one["name"]: one["schema"] for one in operation.node.get("parameters", []) if one["in"] == "query"}


@cache
def event_schemas() -> dict[str, Node]:
    """The schema of each stream event's data, as published."""
    return dict(events_in(plain_schemas()))


def everything() -> set[Fact]:
    """All that the spec offers: parameters and statuses of every operation, values of every answer, every event."""
    found: set[Fact] = set()
    for operation in operations():
        found.add(Fact("status", operation.name, "200"))
        if not isinstance(operation.node, AddedOperation):
            found |= {Fact("status", operation.name, status) for status in operation.node["responses"]}
        for name, schema in query_schemas(operation).items():
            found.add(Fact("parameter", f"{operation.name}#{name}", ANY))
            found |= {Fact("parameter", f"{operation.name}#{name}", value) for _, value in PARAMETERS.offers(schema)}
        found |= {
            Fact("parameter", f"{operation.name}#{at}", value)
            for at, value in PARAMETERS.offers(body_schema(operation))
        }
        found |= _values(answer_schema(operation))
    found |= {Fact("event", name, ANY) for name in event_schemas()}
    for schema in event_schemas().values():
        found |= _values(schema)
    return found


def _values(schema: Node) -> set[Fact]:
    return {Fact("value", at, value) for at, value in VALUES.offers(schema) if at and value != ANY}


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _plain(node: Node) -> Node:
    while "$ref" in node:
        node = plain_schemas()[str(node["$ref"]).rsplit("/", 1)[1]]
    return node


def _properties(node: Node) -> dict[str, Node]:
    return node.get("properties", {})


def _members(node: Node) -> list[Node]:
    """The members of a union or a sum. Beside "any string", closed strings only suggest (the models' names)."""
    members: list[Node] = [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]
    if any(_is_any_string(_plain(member)) for member in members):
        members = [member for member in members if "enum" not in _plain(member)]
    return members


def _is_any_string(node: Node) -> bool:
    return node.get("type") == "string" and "enum" not in node


def _closed(node: Node) -> list[str]:
    values: list[Any] = node.get("enum", [])
    return [_said(value) for value in values if value is not None]


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shapes(node: Node) -> list[str]:
    """The open shapes among which the caller may choose."""
    members = [_plain(member) for member in _members(node)]
    shapes = [_shape(member) for member in members if _shape(member)]
    return shapes if len(shapes) > 1 else []


def _shape(node: Node) -> str:
    if node.get("type") == "array":
        return "<array>"
    return "<string>" if _is_any_string(node) else ""


def _takes(node: Node, value: Any) -> bool:
    # A node that is kept keeps its place in memory, so nothing else can be taken for it.
    if id(node) not in _COMPILED:
        _COMPILED[id(node)] = node, Draft202012Validator({**node, "components": {"schemas": plain_schemas()}})
    return _COMPILED[id(node)][1].is_valid(value)


_COMPILED: dict[int, tuple[Node, Draft202012Validator]] = {}


_BOUNDS = ("maxLength", "minLength", "maxItems", "minItems", "minimum", "maximum", "maxProperties", "pattern")


def walk_limits(node: Node, at: str = "", depth: int = 0) -> Iterator[Found]:
    """Every place of a schema that has a limit, with the limit's keyword."""
    node = _plain(node)
    if depth > DEEPEST:
        return
    yield from ((at, bound) for bound in _BOUNDS if bound in node)
    if isinstance(node.get("additionalProperties"), dict):
        yield from walk_limits(node["additionalProperties"], f"{at}.*", depth + 1)
    for member in _members(node):
        yield from walk_limits(member, at, depth + 1)
    for name, child in _properties(node).items():
        yield from walk_limits(child, _join(at, name), depth + 1)
    if "items" in node:
        yield from walk_limits(node["items"], f"{at}[]", depth + 1)


def schema_at(node: Node, place: str) -> list[Node]:
    """The schemas a place may have, more than one where unions lead to it; empty if the place is inside none."""
    found = [_plain(node)]
    for part in place.split("."):
        name, _, items = part.partition("[]")
        found = [child for one in found for child in _children(one, name)]
        if part.endswith("[]") or items:
            found = [item for one in found for item in _items(one)]
    return found


def _all_members(node: Node) -> Iterator[Node]:
    yield node
    for member in [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]:
        yield from _all_members(_plain(member))


def _children(node: Node, name: str) -> list[Node]:
    return [one["properties"][name] for one in _all_members(_plain(node)) if name in _properties(one)]


def _items(node: Node) -> list[Node]:
    return [one["items"] for one in _all_members(_plain(node)) if "items" in one]


def is_taken(schemas: list[Node], value: Any) -> bool:
    """Whether any of the schemas allows the value."""
    return any(_takes(one, value) for one in schemas)
