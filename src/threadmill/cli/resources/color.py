"""Colours and plain words for people: what `pretty` looks like, JSON with colours, events of a stream."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

from threadmill.cli.resources.command_spec import Json

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_JSON = re.compile(
    r'(?P<key>"(?:\\.|[^"\\])*")(?=\s*:)|(?P<text>"(?:\\.|[^"\\])*")|(?P<word>true|false|null)|(?P<number>-?\d[\d.eE+-]*)'
)
_CODES = {"key": "36", "text": "32", "word": "35", "number": "33", "dim": "2", "bold": "1", "bad": "31", "good": "32"}
_STYLES = {"completed": "good", "failed": "bad", "expired": "bad", "cancelled": "bad", "incomplete": "bad"}


def wants_colour(stream: TextIO) -> bool:
    """Whether to write colours: on a terminal, unless NO_COLOR or TERM=dumb; FORCE_COLOR wins."""
    if os.environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def clean(text: str) -> str:
    """The text without control characters, so that a model's words cannot drive a terminal."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Colorizer:
    """Writes in colour, or not."""

    def __init__(self, *, colour: bool) -> None:
        self._colour: bool = colour

    def __call__(self, style: str, text: str) -> str:
        """The text in a style."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._colour and text else text

    def json(self, text: str) -> str:
        """JSON text with its keys and values in colour."""
        return _JSON.sub(lambda found: self(found.lastgroup or "text", found[0]), text) if self._colour else text

    def pretty(self, value: Json) -> Iterator[str]:
        """The value for reading, line by line. A list object is shown object by object."""
        if isinstance(value, dict) and isinstance(items := value.get("data"), list) and value.get("object") == "list":
            for item in items:
                yield from self.pretty(item)
                yield ""
            yield self("dim", f"{len(items)} shown" + (", there is more" if value.get("has_more") else ""))
        elif isinstance(value, dict):
            yield from self._fields(value, "")
        else:
            yield from self._entry("", value, "")

    def _fields(self, value: dict[str, Json], indent: str) -> Iterator[str]:
        for key, inner in value.items():
            yield from self._entry(indent + self("key", clean(key)) + ":", inner, indent, key)

    def _entry(self, lead: str, value: Json, indent: str, key: str = "") -> Iterator[str]:
        """One value behind its lead: on the same line if it is plain, else below it."""
        deeper = indent + "  " if lead else indent
        if lead and isinstance(value, (dict, list)) and value:
            yield lead
        if isinstance(value, dict) and value:
            yield from self._fields(value, deeper)
        elif isinstance(value, list) and value:
            for item in value:
                yield from self._item(item, deeper)
        elif isinstance(value, str) and "\n" in value:
            if lead:
                yield f"{lead} |"
            yield from (f"{deeper}{clean(line)}" for line in value.splitlines())
        else:
            yield f"{lead} {self._plain(key, value)}" if lead else indent + self._plain(key, value)

    def _item(self, value: Json, indent: str) -> Iterator[str]:
        """A list's value: its first line behind a dash, the others beneath it."""
        for number, line in enumerate(self._entry("", value, indent + "  ")):
            yield f"{indent}- {line[len(indent) + 2 :]}" if number == 0 and line.startswith(indent) else line

    def _plain(self, key: str, value: Json) -> str:
        if isinstance(value, str):
            return self(_STYLES[value], value) if key == "status" and value in _STYLES else clean(value)
        if isinstance(value, int) and not isinstance(value, bool) and key.endswith("_at"):
            return f"{self('number', str(value))} {self('dim', _time(value))}".rstrip()
        return self("dim" if value is None else "number", json.dumps(value))


def _time(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return ""
