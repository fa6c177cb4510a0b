"""From what was typed and piped to one API request. Nothing is sent here."""

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from select import select
from urllib.parse import quote, urlencode

from threadmill.cli.resources.command_spec import Command, Flag, Json
from threadmill.cli.resources.error import CliError, usage_error
from threadmill.cli.resources.values import FileUpload, parse, upload_of, value_of, with_files

STDIN_WAIT = 2.0
"""Seconds an open pipe on standard input may stay silent before it is taken for one that will never speak."""

UNTRUSTED = "OPENAI_UNTRUSTED_STDIN"


@dataclass(frozen=True, slots=True)
class FlagValue:
    """One flag as it was typed, in its place among the others. `inner` is the field's flag for `--message.role`."""

    flag: Flag
    text: str
    inner: Flag | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `path` is complete; `query` has an entry per value; `uploads` make it a form."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: dict[str, Json] | None = None
    uploads: dict[str, FileUpload] = field(default_factory=dict[str, FileUpload])

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def with_query(self, **query: str) -> "Request":
        """The same request with these query values set."""
        kept = tuple(pair for pair in self.query if pair[0] not in query)
        return replace(self, query=(*kept, *query.items()))

    def get_query(self, name: str) -> str | None:
        """A query value."""
        return next((value for key, value in self.query if key == name), None)


def build(command: Command, given: Sequence[FlagValue], ids: Sequence[str], piped: dict[str, Json] | None) -> Request:
    """The request. `ids` fill the path's flags that were not given, in order. Raises CliError (usage)."""
    given = [*given, *_positional(command, given, ids)]
    uploads = {one.flag.name: upload_of(one.flag, one.text) for one in given if "file" in one.flag.types}
    values = _values([one for one in given if one.flag.name not in uploads])
    body = {**(piped or {}), **values.get("body", {})}
    _require(command, values, body, uploads)
    path = command.path
    for name, value in values.get("path", {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = tuple((name, one) for name, value in values.get("query", {}).items() for one in _query_texts(value))
    return Request(command.method, path, query, body if command.body != "none" else None, uploads)


def _positional(command: Command, given: Sequence[FlagValue], ids: Sequence[str]) -> list[FlagValue]:
    named = {one.flag.name for one in given}
    open_flags = [flag for flag in command.flags if flag.place == "path" and flag.name not in named]
    if len(ids) > len(open_flags):
        raise usage_error(
            f"Too many arguments: {' '.join(ids[len(open_flags) :])}.", "Values belong behind a flag; see --help."
        )
    return [FlagValue(flag, text) for flag, text in zip(open_flags, ids, strict=False)]


def _query_texts(value: Json) -> list[str]:
    """A query value as texts, one for each of an array."""
    if isinstance(value, list):
        return [text for one in value for text in _query_texts(one)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _values(given: Sequence[FlagValue]) -> dict[str, dict[str, Json]]:
    """Values by place and name; what repeats becomes an array, inner flags become fields."""
    places: dict[str, dict[str, Json]] = {}
    for one in given:
        place = places.setdefault(one.flag.place, {})
        if one.inner is not None:
            _set_field(place, one, one.inner)
        elif one.flag.many:
            _extend(place, one.flag, value_of(one.flag, one.text))
        elif one.flag.name in place:
            raise usage_error(f"--{one.flag.flag} is given twice.")
        else:
            place[one.flag.name] = value_of(one.flag, one.text)
    return places


def _extend(place: dict[str, Json], flag: Flag, value: Json) -> None:
    """Add a value, or each of a list, to an array; null is the array's own null."""
    if value is None:
        place[flag.name] = None
        return
    values = place.setdefault(flag.name, [])
    if isinstance(values, list):
        values.extend(value if isinstance(value, list) else [value])


def _set_field(place: dict[str, Json], one: FlagValue, inner: Flag) -> None:
    """Set a field of the object, or of an array's last object; a field that is set already begins the next object."""
    target: Json
    if one.flag.many:
        values = place.setdefault(one.flag.name, [])
        last = values[-1] if isinstance(values, list) and values else None
        target = last if isinstance(last, dict) else {}
        if isinstance(values, list) and (last is not target or (inner.name in target and not inner.many)):
            target = {}
            values.append(target)
    else:
        target = place.setdefault(one.flag.name, {})
    if not isinstance(target, dict):
        raise usage_error(f"--{inner.flag} cannot be joined with --{one.flag.flag} {target}.")
    value = value_of(inner, one.text)
    if inner.many:
        _extend(target, inner, value)
    elif inner.name in target:
        raise usage_error(f"--{inner.flag} is given twice.")
    else:
        target[inner.name] = value


def _require(
    command: Command, values: dict[str, dict[str, Json]], body: dict[str, Json], uploads: dict[str, FileUpload]
) -> None:
    """Refuse a request that lacks what it cannot be without. Raises CliError (usage)."""
    known = {*values.get("path", {}), *values.get("query", {}), *body, *uploads}
    missing = [flag for flag in command.flags if flag.required and flag.name not in known]
    if not missing:
        return
    names = ", ".join(f"--{flag.flag}" for flag in missing)
    piped = " A body may also come on standard input." if any(flag.place == "body" for flag in missing) else ""
    raise usage_error(f"Missing: {names}.", f"See --help.{piped}")


def body_on_stdin(mode: str) -> dict[str, Json] | None:
    """The JSON or YAML body on standard input; None without one. Raises CliError (usage).

    `mode` is `auto`, `read` or `ignore`. In `auto` a terminal is not asked, and a pipe that is open but silent, as
    scripts and CI leave them, is left out after STDIN_WAIT seconds, with a word on standard error.
    """
    if mode == "ignore" or sys.stdin is None or sys.stdin.closed:  # pyright: ignore[reportUnnecessaryComparison] - None when closed at start
        return None
    if mode == "auto" and not _stdin_has_data():
        return None
    text = sys.stdin.buffer.read().decode(errors="replace")
    if not text.strip():
        return None
    try:
        found = parse(text)
    except CliError as error:
        raise usage_error(f"Standard input is neither JSON nor YAML: {error.text}.") from None
    if not isinstance(found, dict):
        raise usage_error(
            "Standard input must be one object, the request's body.", "Use --stdin ignore to leave it out."
        )
    if os.environ.get(UNTRUSTED, "").lower() in ("1", "true"):
        return found
    expanded = with_files(found)
    return expanded if isinstance(expanded, dict) else found


def _stdin_has_data() -> bool:
    if sys.stdin.isatty():
        return False
    kind = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return True
    if select([sys.stdin], [], [], STDIN_WAIT)[0]:
        return True
    print(
        f"threadmill: standard input is open but said nothing for {STDIN_WAIT:g} s and is left out "
        "(--stdin read waits for it, --stdin ignore or </dev/null does not)",
        file=sys.stderr,
    )
    return False
