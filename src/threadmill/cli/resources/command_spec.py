"""The table of commands that tools/cut_commands.py cuts from the pinned spec, as values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

Place = Literal["path", "query", "body"]
Body = Literal["none", "json", "form"]
ResponseKind = Literal["stream", "object", "list", "pages", "bytes"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. `name` is the API's name, `types` its JSON types; `many` is given once per value of an array.

    `strings` marks a map of strings. `inner` are the fields of the object that have flags of their own.
    """

    flag: str
    name: str
    place: Place
    types: tuple[str, ...]
    help: str
    many: bool = False
    required: bool = False
    nullable: bool = False
    strings: bool = False
    choices: tuple[str, ...] = ()
    inner: tuple["Flag", ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what is sent where, and what comes back. `beta`: the API wants its beta header."""

    name: str
    summary: str
    method: str
    path: str
    body: Body
    response_kind: ResponseKind
    flags: tuple[Flag, ...]
    beta: bool = False

    @property
    def streams(self) -> bool:
        """Whether the answer can be a stream of events."""
        return any(flag.name == "stream" for flag in self.flags)


@dataclass(frozen=True, slots=True)
class Resource:
    """A group of commands, such as `beta:threads:runs`."""

    name: str
    summary: str
    commands: tuple[Command, ...]


def load() -> tuple[Resource, ...]:
    """The packaged table."""
    return msgspec.json.decode(Path(__file__).with_name("commands.json").read_bytes(), type=tuple[Resource, ...])
