"""Cuts the command line's table from the pinned spec and tools/commands.toml. `--check`: only compare.

Writes src/threadmill/cli/resources/commands.json, which the wheel carries, and the tables of docs/reference/cli.md.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from threadmill.wire.deviations import ADDED_OPERATIONS, ADDED_PARAMETERS, AddedOperation

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "src" / "threadmill" / "cli" / "resources" / "commands.json"
PAGE = ROOT / "docs" / "reference" / "cli.md"
BEGIN, END = "<!-- cut by tools/cut_commands.py: begin -->", "<!-- cut by tools/cut_commands.py: end -->"

Schema = dict[str, Any]


class Unworded(Exception):
    """Flags or commands that tools/commands.toml has no words for."""


class Spec:
    """The pinned spec, with references followed."""

    def __init__(self, document: Schema) -> None:
        self._document: Schema = document
        self._operations: dict[str, tuple[str, str, Schema]] = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if isinstance(operation, dict) and "operationId" in operation
        }

    def operation(self, name: str) -> tuple[str, str, Schema]:
        """Method, path and description of an operationId."""
        return self._operations[name]

    def variants(self, schema: Schema) -> Iterator[Schema]:
        """What a value may be, null aside: unions and references opened."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self.variants(self._document["components"]["schemas"][name])
            return
        union = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if not union or "properties" in schema:
            kind = schema.get("type", "object" if "properties" in schema else "null")
            if kind != "null":
                yield schema | {"type": kind}
            return
        for one in union:
            yield from self.variants(one)

    def nullable(self, schema: Schema) -> bool:
        """Whether null is a value."""
        if schema.get("nullable") or schema.get("type") == "null":
            return True
        if "$ref" in schema:
            return self.nullable(self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        return any(self.nullable(one) for kind in ("anyOf", "oneOf", "allOf") for one in schema.get(kind, ()))


class Words:
    """Our descriptions. The most particular key wins: `createRun.tools`, `additional_messages.content`, `content`."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words: dict[str, str] = words
        self.missing: list[str] = []
        self.used: set[str] = set()

    def of(self, operation: str, path: str) -> str:
        """The words for a flag; missing ones are collected."""
        for key in (f"{operation}.{path}", path, path.rpartition(".")[2]):
            if key in self._words:
                self.used.add(key)
                return self._words[key]
        self.missing.append(f"{operation}.{path}")
        return ""


def singular(name: str) -> str:
    """A repeated flag is named for one of its values, as in the reference: `tools` is `--tool`."""
    return name.removesuffix("s")


def type_of(spec: Spec, schema: Schema) -> Schema:
    """The part of a flag that its schema says: types, choices, whether it repeats."""
    variants = list(spec.variants(schema))
    found: Schema = {}
    if len(variants) == 1 and variants[0]["type"] == "array":
        found["many"] = True
        variants = list(spec.variants(variants[0]["items"]))
    found["types"] = list(dict.fromkeys("file" if v.get("format") == "binary" else v["type"] for v in variants))
    strings = [variant for variant in variants if variant["type"] == "string"]
    if strings and all("enum" in variant for variant in strings):
        found["choices"] = list(dict.fromkeys(value for variant in strings for value in variant["enum"]))
    extra = variants[0].get("additionalProperties") if len(variants) == 1 else None
    if extra == {"type": "string"}:
        found["strings"] = True
    if spec.nullable(schema):
        found["nullable"] = True
    return found


def fields_of(spec: Spec, schema: Schema) -> Schema:
    """The properties of an object, or of an array's objects; none for a union, which has no one set of them."""
    variants = list(spec.variants(schema))
    if len(variants) == 1 and variants[0]["type"] == "array":
        variants = list(spec.variants(variants[0]["items"]))
    return variants[0].get("properties", {}) if len(variants) == 1 else {}


def flag_of(spec: Spec, words: Words, operation: str, slot: tuple[str, str], schema: Schema) -> Schema:
    """One flag with its inner flags. `slot` is the API's name and where it goes."""
    name, place = slot
    flag: Schema = {"name": name, "place": place} | type_of(spec, schema)
    plain = name.removesuffix("[]")
    flag["flag"] = (singular(plain) if flag.get("many") else plain).replace("_", "-")
    flag["help"] = words.of(operation, plain)
    inner: list[Schema] = []
    for field, inside in fields_of(spec, schema).items():
        found: Schema = {"name": field, "place": place} | type_of(spec, inside)
        found["flag"] = f"{flag['flag']}.{field.replace('_', '-')}"
        found["help"] = words.of(operation, f"{name}.{field}")
        inner.append(found)
    if inner:
        flag["inner"] = inner
    return flag


def flags_of(spec: Spec, words: Words, name: str, operation: Schema) -> Iterator[Schema]:
    """Path and query parameters, then the body's properties; what must be given first."""
    for parameter in operation.get("parameters", []):
        flag = flag_of(spec, words, name, (parameter["name"], parameter["in"]), parameter["schema"])
        yield flag | ({"required": True} if parameter.get("required") else {})
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = next(iter(spec.variants(content["schema"])))
        for field, schema in body.get("properties", {}).items():
            flag = flag_of(spec, words, name, (field, "body"), schema)
            yield flag | ({"required": True} if field in body.get("required", ()) else {})


def response_kind_of(spec: Spec, operation: Schema) -> str:
    """`object`, `list`, `pages` (a list with cursors), `stream` or `bytes`."""
    content = operation["responses"]["200"]["content"]
    if "text/event-stream" in content and len(content) == 1:
        return "stream"
    schema = next(iter(spec.variants(next(iter(content.values()))["schema"])))
    if schema["type"] == "string":
        return "bytes"
    fields = schema.get("properties", {})
    if "data" not in fields:
        return "object"
    cursor = any(parameter["name"] == "after" for parameter in operation.get("parameters", []))
    return "pages" if cursor else "list"


def command_of(spec: Spec, words: Words, resource: str, name: str, operation_id: str) -> Schema:
    """One command."""
    method, path, operation = spec.operation(operation_id)
    media = next(iter(operation.get("requestBody", {}).get("content", {})), "")
    flags = sorted(flags_of(spec, words, operation_id, operation), key=lambda flag: not flag.get("required", False))
    command: Schema = {
        "name": name,
        "summary": words.of(operation_id, "about"),
        "method": method,
        "path": path,
        "body": {"": "none", "application/json": "json", "multipart/form-data": "form"}[media],
        "response_kind": response_kind_of(spec, operation),
        "flags": flags,
    }
    if resource.startswith(("beta:", "vector-stores")):
        command["beta"] = True
    return command


def with_additions(document: Schema) -> Schema:
    """The spec with the parameters that are ours (`wire/deviations.py`), described in its own words."""
    for row in ADDED_PARAMETERS:
        schema: Schema = {**json.loads(row.schema), "nullable": True, "description": row.description}
        for body in row.bodies:
            document["components"]["schemas"][body]["properties"][row.name] = schema
    return document


def with_operations(document: Schema) -> Schema:
    """The spec with the operations that are ours."""
    for added in ADDED_OPERATIONS:
        document["paths"].setdefault(added.path, {})[added.method.lower()] = _as_operation(added)
    return document


def _as_operation(added: AddedOperation) -> Schema:
    """An operation of ours in the spec's words."""
    text: Schema = {"type": "string"}
    inside = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in re.findall(r"{(\w+)}", added.path)
    ]
    asked = [
        {"name": name, "in": "query", "schema": {"type": "array", "items": text} if name.endswith("[]") else text}
        for name in added.query
    ]
    media = "application/json" if added.response_schema else "text/event-stream"
    schema = json.loads(added.response_schema) if added.response_schema else text
    return {
        "operationId": added.operation_id,
        "parameters": [*inside, *asked],
        "responses": {"200": {"content": {media: {"schema": schema}}}},
    }


def cut(document: Schema, rows: Schema) -> list[Schema]:
    """The table. Raises Unworded; resources that wait for their routes are read, so that their words are there too."""
    ours = {row.name: row.description for row in ADDED_PARAMETERS}
    spec, words = Spec(with_operations(with_additions(document))), Words(ours | rows["words"])
    resources = [
        {
            "name": row["name"],
            "summary": row["about"],
            "commands": [command_of(spec, words, row["name"], *pair) for pair in row["commands"].items()],
            "waiting": row.get("waiting", False),
        }
        for row in rows["resources"]
    ]
    if words.missing:
        raise Unworded("no words in tools/commands.toml for " + ", ".join(words.missing))
    if unused := rows["words"].keys() - words.used:
        raise Unworded("words in tools/commands.toml that no flag has: " + ", ".join(sorted(unused)))
    return [{k: v for k, v in one.items() if k != "waiting"} for one in resources if not one["waiting"]]


def kind(flag: Schema) -> str:
    """How a flag's value is named in the tables."""
    if "choices" in flag and flag["types"] == ["string"]:
        name = ", ".join(f"`{choice}`" for choice in flag["choices"])
    else:
        name = "map of strings" if flag.get("strings") else " or ".join(flag["types"])
    return f"{name}, repeated" if flag.get("many") else name


def page_of(resources: list[Schema]) -> str:
    """The tables of docs/reference/cli.md."""
    lines = [BEGIN]
    for resource in resources:
        lines += ["", f"## `threadmill {resource['name']}`", "", resource["summary"]]
        for command in resource["commands"]:
            lines += ["", f"### `{resource['name']} {command['name']}`", "", f"{command['summary']}", ""]
            lines += [f"`{command['method']} /v1{command['path']}`"]
            if command["flags"]:
                lines += ["", "| flag | value | |", "|---|---|---|"]
            for flag in command["flags"]:
                required = " **Required.**" if flag.get("required") else ""
                lines.append(f"| `--{flag['flag']}` | {kind(flag)} | {flag['help']}{required} |")
                lines += [f"| `--{one['flag']}` | {kind(one)} | {one['help']} |" for one in flag.get("inner", ())]
    return "\n".join([*lines, "", END])


def main() -> int:
    """1 if words are missing, or something is stale and `--check` was asked."""
    try:
        resources = cut(
            yaml.load((ROOT / "spec" / "openapi.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)),
            tomllib.loads((ROOT / "tools" / "commands.toml").read_text()),
        )
    except Unworded as error:
        print(error)
        return 1
    page = PAGE.read_text() if PAGE.exists() else f"{BEGIN}{END}\n"
    before, _, rest = page.partition(BEGIN)
    wanted = {
        TABLE: json.dumps(resources, indent=1, ensure_ascii=False) + "\n",
        PAGE: before + page_of(resources) + rest.partition(END)[2],
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.name} is stale: run make docs")
        else:
            path.write_text(wanted[path])
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
