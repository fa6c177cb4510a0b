"""YAML as flags and standard input speak it: YAML 1.2's plain values, so that `no` and `2026-01-01` stay texts."""

import re
from typing import Any

import yaml

from threadmill.cli.resources.command_spec import Json

_LIBRARY: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Values(_LIBRARY):
    """Reads null, true, false, integers and floats as such and everything else as text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute


for _tag, _form, _first in (
    ("null", r"null|Null|NULL|~|", "nN~"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    for _letter in [*_first, *([""] if _tag == "null" else [])]:
        _Values.yaml_implicit_resolvers.setdefault(_letter, []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})$"))
        )


class _Writer(yaml.SafeDumper):
    """Writes long texts as blocks."""


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return writer.represent_scalar(  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Writer.add_representer(str, _text)


class NotYaml(Exception):
    """The text is neither JSON nor YAML; the message says where it breaks."""


def parse(text: str, *, texts: bool = False) -> Json:
    """The value of a YAML text; with `texts` every plain value is text. Raises NotYaml."""
    try:
        found: Any = yaml.load(text, _TEXTS if texts else _Values)  # noqa: S506 - both are safe loaders
        return _as_json(found)
    except yaml.MarkedYAMLError as error:
        where = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise NotYaml(f"{error.problem}{where}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotYaml(str(error).partition("\n")[0]) from None


def _as_json(value: Any) -> Json:
    """Keys as texts; nothing that JSON has no word for."""
    if isinstance(value, dict):
        return {_key(key): _as_json(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - what a loader gives
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType] - as above
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise NotYaml(f"{type(value).__name__} has no place in JSON")


def _key(key: Any) -> str:
    return {True: "true", False: "false", None: "null"}.get(key, str(key)) if not isinstance(key, str) else key


def dump(value: Json) -> str:
    """The value as a YAML document."""
    return yaml.dump(value, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)
