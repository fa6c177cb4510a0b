"""From a flag's text to the value the API takes: literal text, JSON or YAML, or a file named with @."""

import base64
import json
import math
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from threadmill.cli.resources.command_spec import Flag, Json
from threadmill.cli.resources.error import CliError, usage_error

_OPENS = {"object": "{", "array": "["}
_TYPES: dict[str, tuple[type, ...]] = {"object": (dict,), "array": (list,)}


@dataclass(frozen=True, slots=True)
class FileUpload:
    """A file that is sent as it is, as a part of a form."""

    path: Path


def value_of(flag: Flag, text: str) -> Json:
    """What `text` means for `flag`. Raises CliError (usage) naming the flag."""
    if text.startswith("@") and _is_reference(flag):
        content, literal = _file(text, f"--{flag.flag}")
        return content if literal else _parse_value(flag, content, expand=False)
    plain = text[1:] if text.startswith("\\@") else text
    return _parse_value(flag, plain, expand=True)


def _is_reference(flag: Flag) -> bool:
    return flag.place != "path"


def _parse_value(flag: Flag, text: str, *, expand: bool) -> Json:
    structures = [kind for kind in flag.types if kind in _OPENS]
    if "string" in flag.types:
        return _text_or_structure(flag, structures, text, expand=expand)
    if structures:
        return _structure(flag, structures, text, expand=expand)
    return _scalar(flag, text)


def _text_or_structure(flag: Flag, structures: list[str], text: str, *, expand: bool) -> Json:
    """Text, unless it opens as a structure the flag takes too and can be read as one."""
    if flag.many:
        structures = [*structures, "array"]
    for kind in structures:
        if text.lstrip().startswith(_OPENS[kind]):
            try:
                found = parse(text)
            except CliError:
                return text
            if isinstance(found, _TYPES[kind]):
                return _with_files(found, f"--{flag.flag}") if expand else found
    return text


def _structure(flag: Flag, structures: list[str], text: str, *, expand: bool) -> Json:
    name = f"--{flag.flag}"
    try:
        found = parse(text, texts=flag.strings)
    except CliError as error:
        raise usage_error(f"{name} is neither JSON nor YAML: {error.text}.", _example(flag)) from None
    if found is None and flag.nullable:
        return None
    allowed = tuple(kind for one in [*structures, *(["array"] if flag.many else [])] for kind in _TYPES[one])
    if flag.nullable and text.strip() == "null":
        return None
    if not isinstance(found, allowed):
        raise usage_error(f"{name} must be {' or '.join(structures)}, not {text[:60]!r}.", _example(flag))
    return _with_files(found, name) if expand else found


def _example(flag: Flag) -> str:
    fields = [inner.name for inner in flag.inner][:2]
    inside = ", ".join(f"{name}: ..." for name in fields) or "name: value"
    return f"Write JSON or YAML, such as '{{{inside}}}', or @file."


def _scalar(flag: Flag, text: str) -> Json:
    name, word = f"--{flag.flag}", text.strip()
    if flag.nullable and word == "null":
        return None
    if "boolean" in flag.types:
        if word in ("true", "false"):
            return word == "true"
        raise usage_error(f"{name} must be true or false, not {text!r}.")
    try:
        return int(word) if "integer" in flag.types else _number(word)
    except ValueError:
        kind = "a whole number" if "integer" in flag.types else "a number"
        raise usage_error(f"{name} must be {kind}, not {text!r}.") from None


def _number(word: str) -> int | float:
    return int(word) if word.lstrip("-").isdecimal() else _finite(float(word))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _no_constant(name: str) -> float:
    raise ValueError(name)


def parse(text: str, *, texts: bool = False) -> Json:
    """A JSON or YAML text's value; with `texts` numbers and truth values are texts. Raises CliError (usage)."""
    if text.lstrip()[:1] in ("{", "[", '"'):
        try:
            found: Json = _json(text, texts=texts)
        except ValueError:
            pass
        else:
            return _texts(found) if texts else found
    from threadmill.cli.resources import yaml_values  # noqa: PLC0415 - 30 ms that plain values need not wait for

    try:
        return yaml_values.parse(text, texts=texts)
    except yaml_values.NotYaml as error:
        raise usage_error(str(error)) from None


def _json(text: str, *, texts: bool) -> Json:
    if texts:
        return json.loads(text, parse_constant=_no_constant, parse_int=str, parse_float=str)
    return json.loads(text, parse_constant=_no_constant)


def _texts(value: Json) -> Json:
    """Truth values of a map of strings as text."""
    if isinstance(value, dict):
        return {key: _texts(inner) for key, inner in value.items()}
    return str(value).lower() if isinstance(value, bool) else value


def with_files(value: Json) -> Json:
    """A body with every text that begins with @ replaced by that file's content. Raises CliError (usage)."""
    return _with_files(value, "The body")


def _with_files(value: Json, name: str) -> Json:
    if isinstance(value, dict):
        return {key: _with_files(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_files(inner, name) for inner in value]
    if isinstance(value, str) and value.startswith("@"):
        return _file(value, name)[0]
    if isinstance(value, str) and value.startswith("\\@"):
        return value[1:]
    return value


def _file(reference: str, name: str) -> tuple[str, bool]:
    """The content of `@path`, `@file://path` (as text), `@data://path` (as base64) or `@-`, standard input.

    The second value says that it is wanted as text whatever it looks like.
    """
    for prefix, encode in (("@file://", _utf8), ("@data://", _base64)):
        if reference.startswith(prefix):
            return encode(read(reference.removeprefix(prefix), name), name), True
    content = read(reference[1:], name)
    try:
        return content.decode(), False
    except UnicodeDecodeError:
        return _base64(content, name), True


def read(path: str, name: str) -> bytes:
    """The bytes of a file; `-` is standard input. Raises CliError (usage) for the flag `name`."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise usage_error(
            f"{name}: the file {path} cannot be read: {error.strerror}.",
            f"A text that begins with @ names a file; write '\\@{path}' to send it as it is.",
        ) from None


def _utf8(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise usage_error(f"{name}: the file is not UTF-8 text.", "Use @data:// to send it as base64.") from None


def _base64(content: bytes, _: str) -> str:
    return base64.b64encode(content).decode()


def upload_of(flag: Flag, text: str) -> FileUpload:
    """The file to send. Its path may begin with @. Raises CliError (usage)."""
    path, name = Path(text.removeprefix("@").removeprefix("file://")).expanduser(), f"--{flag.flag}"
    if str(path) == "-":
        raise usage_error(
            f"{name} cannot be standard input.", "The file's name says what it is: save it under one first."
        )
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            path.open("rb").close()
    except OSError as error:
        raise usage_error(f"{name}: the file {path} cannot be read: {error.strerror}.") from None
    if not regular:
        raise usage_error(f"{name}: {path} is no regular file.", "Its size must be known: save it to a file first.")
    return FileUpload(path)
