"""Domain values <-> JSON bytes. msgspec writes; reading follows each dataclass's type hints, looked at once.

A row's fields that have their defaults are not written: they are most of it. What stands inside a field is written whole.
msgspec cannot tell several dataclasses in one union apart, so the reader does, by their literal `type` field.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")
Reader = Callable[[Any], Any]
Arguments = Callable[[dict[str, Any]], dict[str, Any]]

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode


def encode(value: Any, left_out: frozenset[str] = frozenset()) -> bytes:
    """The JSON of a dataclass's value, without its defaults and without the fields `left_out`."""
    written: dict[str, Any] = {}
    for name, default, its_type in _written_fields(cast("type[object]", type(value)), left_out):
        held = getattr(value, name)
        # 1 and 1.0 are equal, and two things on the wire.
        if held is not default and (type(held) is not its_type or held != default):
            written[name] = held
    return encode_json(written)


@cache
def _written_fields(kind: Any, left_out: frozenset[str]) -> list[tuple[str, object, type]]:
    """Fields with their defaults, MISSING for those that have none, and the defaults' types."""
    found: list[tuple[str, object, type]] = []
    for field in fields(kind):
        default: object = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in left_out:
            found.append((field.name, default, type(default)))
    return found


def decode(kind: type[T], data: bytes) -> T:
    """The value of dataclass `kind` that `encode` wrote."""
    return decode_fields(kind, decode_json(data))


def decode_fields(kind: type[T], value: dict[str, Any]) -> T:
    """The value of dataclass `kind` from its fields as plain JSON."""
    return cast("T", _reader(kind)(value))


@cache
def _reader(hint: Any) -> Reader:
    """How to read a value of type `hint` from plain JSON."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union_reader(arguments)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda values: tuple(item(value) for value in values)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_reader(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if origin is Mapping or origin is Literal or hint in (str, int, float, bool, type(None)) or _is_new_type(hint):
        return _same
    raise TypeError(f"no reader for {hint}")


def _same(value: Any) -> Any:
    return value


def _is_new_type(hint: Any) -> bool:
    return getattr(hint, "__supertype__", None) in (str, int)


def _union_reader(members: tuple[Any, ...]) -> Reader:
    kinds = [member for member in members if member is not type(None)]
    if len(kinds) == 1:
        only = _reader(kinds[0])
        return lambda value: None if value is None else only(value)
    by_type = {get_args(get_type_hints(kind)["type"])[0]: _reader(kind) for kind in kinds}
    return lambda value: None if value is None else by_type[value["type"]](value)


@cache
def arguments_reader(kind: Any) -> Arguments:
    """How to read those fields of dataclass `kind` that were written."""
    hints = get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name])) for field in fields(kind)]
    plain = [name for name, reader in readers if reader is _same]
    deep = [(name, reader) for name, reader in readers if reader is not _same]

    def read(value: dict[str, Any]) -> dict[str, Any]:
        arguments = {name: value[name] for name in plain if name in value}
        for name, reader in deep:
            if name in value:
                arguments[name] = reader(value[name])
        return arguments

    return read


def _dataclass_reader(kind: Any) -> Reader:
    required = {field.name for field in fields(kind) if field.default is field.default_factory is MISSING}
    arguments = arguments_reader(kind)

    def read(value: dict[str, Any]) -> Any:
        # A field an older version did not write takes its default; one it wrote and we dropped is ignored.
        if missing := required - value.keys():
            raise ValueError(f"{kind.__name__} lacks {sorted(missing)}")
        return kind(**arguments(value))

    return read
