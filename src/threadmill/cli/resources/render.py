"""Writes answers to standard output in the form that was asked for."""

import json
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from threadmill.cli.resources.color import Colorizer, clean, wants_colour
from threadmill.cli.resources.command_spec import Json
from threadmill.cli.resources.error import CliError
from threadmill.cli.resources.events import Event, error_of
from threadmill.cli.resources.stream_printer import StreamPrinter

FORMATS = ("auto", "json", "jsonl", "pretty", "raw", "yaml")


def _as_it_is(value: Json) -> Json:
    return value


@dataclass(frozen=True, slots=True)
class Output:
    """How to write. `form` is one of FORMATS; `bare` writes texts without quotes; `transforms` says one was asked for."""

    form: str
    bare: bool = False
    transforms: bool = False
    transform: Callable[[Json], Json] = _as_it_is

    @property
    def _out(self) -> TextIO:
        return sys.stdout

    def value(self, value: Json, *, form: str = "") -> None:
        """One value, after the transform."""
        form, found = form or self.form, self.transform(value)
        if self.transforms and found is None and isinstance(value, dict) and "data" in value:
            print("threadmill: nothing fits; a list's objects are in data: data[].id", file=sys.stderr)
        self._write(self._text(found, form))

    def _write(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()

    def _text(self, value: Json, form: str) -> str:
        terminal = self._out.isatty()
        color = Colorizer(colour=wants_colour(self._out))
        if isinstance(value, str) and (self.bare or (self.transforms and form in ("auto", "raw", "pretty"))):
            return clean(value) if terminal else value
        if form == "yaml":
            from threadmill.cli.resources.yaml_values import dump  # noqa: PLC0415 - only when asked for

            return dump(value).rstrip("\n").removesuffix("\n...")
        if form == "pretty" or (form == "auto" and terminal):
            return "\n".join(color.pretty(value))
        lines = form in ("jsonl", "raw")
        text = json.dumps(value, ensure_ascii=False, indent=None if lines else 2)
        return color.json(clean(text) if terminal else text)

    def items(self, items: Iterable[dict[str, Json]]) -> None:
        """One line an object, as they come."""
        for item in items:
            self.value(item, form="jsonl")

    def raw(self, pieces: Iterable[bytes]) -> None:
        """Bytes as the server sent them; on a terminal without what could drive it."""
        decoder = getincrementaldecoder("utf-8")("replace")
        for piece in pieces:
            shown = clean(decoder.decode(piece)).encode() if self._out.isatty() else piece
            self._out.buffer.write(shown)
            self._out.buffer.flush()

    def stream(self, events: Iterable[Event]) -> None:
        """Events as they come. Raises CliError when the run they tell of did not end well."""
        failure: CliError | None = None
        printer = StreamPrinter(self._out, Colorizer(colour=wants_colour(self._out)))
        readable = not self.transforms and (self.form == "pretty" or (self.form == "auto" and self._out.isatty()))
        try:
            for event in events:
                failure = error_of(event) or failure
                if readable:
                    printer.print_event(event)
                else:
                    self._event(event)
        finally:
            printer.end_line()
        if failure:
            raise failure

    def _event(self, event: Event) -> None:
        """One event as data. With a transform, events it finds nothing in are left out."""
        found = self.transform(event.value())
        if self.transforms and found is None:
            return
        form = "jsonl" if self.form == "auto" and not isinstance(found, str) else self.form
        self._write(("---\n" if form == "yaml" else "") + self._text(found, form))
