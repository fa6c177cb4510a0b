"""Citation markers in a model's answer, `【4:0†name】`, become annotations (behaviour.md 3.4 and 4).

The model writes them in as many pieces as it likes. A `CitationParser` hands text on at once, keeps back only what may
still become a marker, and gives each marker whole, together with its annotation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation

OPEN, CLOSE, DAGGER = "【", "】", "†"
MAX_DIGITS = 4
MAX_NAME = 255
MAX_MARKER = 2 * MAX_DIGITS + MAX_NAME + 4
"""Characters of the longest marker: what is kept back at most."""


class PassageRef(NamedTuple):
    """What a marker names: result `result` of search `search`."""

    search: int
    result: int


PassageFiles: TypeAlias = Mapping[PassageRef, FileId]
"""The results the model was shown, and the file each came from."""


def format_marker(source: PassageRef, name: str) -> str:
    """The text that cites a result. A name that would end the marker early, or is too long, is put right."""
    clean = "".join(" " if character in (OPEN, CLOSE, "\n", "\r") else character for character in name)
    return f"{OPEN}{source.search}:{source.result}{DAGGER}{clean[:MAX_NAME] or 'source'}{CLOSE}"


_BEGINNING = re.compile(f"{OPEN}([0-9]{{1,{MAX_DIGITS}}}):([0-9]{{1,{MAX_DIGITS}}}){DAGGER}")


def parse_marker(text: str) -> PassageRef | None:
    """What the marker at the beginning of `text` names; None if there is none."""
    found = _BEGINNING.match(text)
    return None if found is None else PassageRef(int(found[1]), int(found[2]))


class _Part(Enum):
    """The part of a marker that is being read."""

    TEXT = auto()
    SEARCH = auto()
    RESULT = auto()
    NAME = auto()


@dataclass(slots=True)
class CitationParser:
    """Reads one text piece by piece. `sources` may grow between pieces, as further searches are made.

    `feed` and `close` give the text so far kept back or new, in order: plain text as `str`, a marker as its Annotation,
    whose `text` is the marker and whose indexes count the characters of the whole text from its beginning. A marker that
    names no source, and half a marker, are plain text.
    """

    sources: PassageFiles
    _at: int = 0
    _held: str = ""
    _part: _Part = _Part.TEXT
    _search: str = ""
    _result: str = ""
    _ready: list[str | Annotation] = field(default_factory=list[str | Annotation])

    def feed(self, piece: str) -> list[str | Annotation]:
        """What can be said after this piece."""
        if self._part is _Part.TEXT and OPEN not in piece:
            self._say(piece)
            return self._take()
        for character in piece:
            self._read(character)
        return self._take()

    def close(self) -> list[str | Annotation]:
        """What is left when the text ends."""
        self._give_up()
        return self._take()

    def _read(self, character: str) -> None:
        if self._part is _Part.TEXT or not self._continues(character):
            self._give_up()
            if character == OPEN:
                self._held, self._part = character, _Part.SEARCH
            else:
                self._say(character)
        elif character == CLOSE:
            self._cite()

    def _continues(self, character: str) -> bool:
        """Take `character` as the marker's next; False if a marker cannot go on so."""
        match self._part:
            case _Part.SEARCH if character in "0123456789" and len(self._search) < MAX_DIGITS:
                self._search += character
            case _Part.SEARCH if character == ":" and self._search:
                self._part = _Part.RESULT
            case _Part.RESULT if character in "0123456789" and len(self._result) < MAX_DIGITS:
                self._result += character
            case _Part.RESULT if character == DAGGER and self._result and self._source() in self.sources:
                self._part = _Part.NAME
            case _Part.NAME if character == CLOSE and not self._held.endswith(DAGGER):
                pass
            case _Part.NAME if character not in (OPEN, CLOSE, "\n", "\r") and self._name_length() < MAX_NAME:
                pass
            case _:
                return False
        self._held += character
        return True

    def _source(self) -> PassageRef:
        return PassageRef(int(self._search), int(self._result))

    def _name_length(self) -> int:
        return len(self._held) - len(self._search) - len(self._result) - 3

    def _cite(self) -> None:
        start, end = self._at, self._at + len(self._held)
        self._ready.append(Annotation("file_citation", self._held, start, end, self.sources[self._source()]))
        self._at = end
        self._forget()

    def _give_up(self) -> None:
        self._say(self._held)
        self._forget()

    def _forget(self) -> None:
        self._held, self._part, self._search, self._result = "", _Part.TEXT, "", ""

    def _say(self, text: str) -> None:
        if not text:
            return
        self._at += len(text)
        if self._ready and isinstance(self._ready[-1], str):
            self._ready[-1] += text
        else:
            self._ready.append(text)

    def _take(self) -> list[str | Annotation]:
        ready, self._ready = self._ready, []
        return ready
