"""Citation markers in a model's answer, `【4:0†name】`, become annotations (behaviour.md 3.4 and 4).

The model writes them in as many pieces as it likes, and small or foreign models in other forms: `[4:0†name]`, `【4:0】`,
`[4:0]`, `【4:0 † name】`, `(4:0†name)`, `【4:0†a.txt, 4:2†b.txt】`. A `CitationParser` hands text on at once, keeps back
only what may still become a marker, and gives each marker whole, together with its annotation. Whether it is one is
decided by the passages the model was shown: a time such as `[12:30]` names none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation

OPEN, CLOSE, DAGGER = "【", "】", "†"
MAX_DIGITS = 4
MAX_NAME = 255
MAX_MARKER = 2 * MAX_DIGITS + MAX_NAME + 4
"""Characters of the longest marker that names one passage."""

MAX_HELD = 4 * MAX_MARKER
"""Characters that are kept back at most: a marker may name several passages."""


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


MAX_NEXT = 2 * MAX_DIGITS + 6
"""Characters of a comma with its spaces and the pair of numbers behind it."""

_SPACE = "[ \u00a0]{0,2}"
_NUMBER = f"[0-9]{{1,{MAX_DIGITS}}}"
_PAIR = f"{_NUMBER}:{_NUMBER}(?![0-9])"
_COMMA = f"{_SPACE}[,;]{_SPACE}"
_BEGINNING = re.compile(rf"[{OPEN}\[(]?{_SPACE}({_NUMBER}):({_NUMBER})(?![0-9])")
_REFERENCES = re.compile(rf"(^.{_SPACE}|{_COMMA})({_NUMBER}):({_NUMBER})(?![0-9])")
_OPENING = re.compile(rf"[{OPEN}\[(]")


def parse_marker(text: str) -> PassageRef | None:
    """What the marker, or the part of one, at the beginning of `text` names first; None if it names nothing."""
    found = _BEGINNING.match(text)
    return None if found is None else PassageRef(int(found[1]), int(found[2]))


def _named(reference: re.Match[str]) -> PassageRef:
    return PassageRef(int(reference[2]), int(reference[3]))


class _Grammar:
    """Markers between one pair of brackets: `whole` fits one, `partial` fits what may become one at a text's end.

    A name may hold brackets of that kind in pairs. In round brackets the first passage must have a name: `(4:0)` is a
    score in any text.
    """

    def __init__(self, opening: str, closing: str) -> None:
        one, other = re.escape(opening), re.escape(closing)
        plain = rf"[^{one}{other}\r\n]"
        pairs = "" if opening == OPEN else rf"|{one}{plain}*{other}"
        tail = "" if opening == OPEN else rf"(?:{one}{plain}*)?"
        # A name ends where a comma and another pair begin: without that, each comma could be read in two ways.
        piece = f"(?!{_COMMA}{_PAIR})(?:{plain}{pairs})"
        name = f"{_SPACE}{DAGGER}(?:{piece}){{1,{MAX_NAME}}}"
        first = f"{_PAIR}{name}" if opening == "(" else f"{_PAIR}(?:{name})?"
        self.whole: re.Pattern[str] = re.compile(
            rf"{one}{_SPACE}{first}(?:{_COMMA}{_PAIR}(?:{name})?){{0,15}}{_SPACE}{other}"
        )
        # Room for a comma and the next pair, of which only some may have come.
        written = f"{_SPACE}{DAGGER}(?:{piece}){{0,{MAX_NAME + MAX_NEXT}}}{tail}"
        number = rf"{_NUMBER}(?::(?:{_NUMBER}(?:{written}|{_SPACE}|{_COMMA})?)?)?"
        self.partial: re.Pattern[str] = re.compile(rf"{one}{_SPACE}(?:{_PAIR}(?:{name})?{_COMMA})*(?:{number})?\Z")


_GRAMMARS = {opening: _Grammar(opening, closing) for opening, closing in (OPEN + CLOSE, "[]", "()")}


@dataclass(slots=True)
class CitationParser:
    """Reads one text piece by piece. `sources` may grow between pieces, as further searches are made.

    `feed` and `close` give the text so far kept back or new, in order: plain text as `str`, a marker as its Annotation,
    whose `text` is the marker and whose indexes count the characters of the whole text from its beginning. A marker that
    names several files is cut between them, one annotation each. One whose first passage is no source, and half a marker,
    are plain text.
    """

    sources: PassageFiles
    _at: int = 0
    _held: str = ""

    def feed(self, piece: str) -> list[str | Annotation]:
        """What can be said after this piece."""
        return self._read(piece, final=False)

    def close(self) -> list[str | Annotation]:
        """What is left when the text ends."""
        return self._read("", final=True)

    def _read(self, piece: str, *, final: bool) -> list[str | Annotation]:
        text, self._held = self._held + piece, ""
        ready: list[str | Annotation] = []
        begin = place = 0
        while self.sources and (opening := _OPENING.search(text, place)) is not None:
            place = opening.start()
            if (found := self._marker(text, place)) is not None:
                ready += [*self._said(text[begin:place]), *self._cited(found[0])]
                begin = place = found.end()
            elif not final and self._may_become_one(text, place):
                self._held, text = text[place:], text[:place]
            else:
                place += 1
        return [*ready, *self._said(text[begin:])]

    def _marker(self, text: str, place: int) -> re.Match[str] | None:
        """The marker at `place`, if the model was shown what it names."""
        grammar = _GRAMMARS[text[place]]
        found = grammar.whole.match(text, place, place + MAX_HELD)
        return found if found is not None and parse_marker(found[0]) in self.sources else None

    def _may_become_one(self, text: str, place: int) -> bool:
        """Whether all that stands at `place` is the beginning of a marker."""
        if len(text) - place >= MAX_HELD or _GRAMMARS[text[place]].partial.match(text, place) is None:
            return False
        named = _BEGINNING.match(text, place)
        is_named = named is not None and named.end() < len(text)
        return not is_named or parse_marker(text[place : place + MAX_MARKER]) in self.sources

    def _cited(self, text: str) -> list[str | Annotation]:
        """The marker, cut where another file begins; the commas between are text."""
        first, *following = _REFERENCES.finditer(text)
        parts: list[str | Annotation] = []
        begin, source = 0, _named(first)
        for reference in following:
            other = _named(reference)
            if other in self.sources and self.sources[other] != self.sources[source]:
                parts += self._annotated(text[begin : reference.start()], source)
                parts += self._said(reference[1])
                begin, source = reference.end(1), other
        return [*parts, *self._annotated(text[begin:], source)]

    def _annotated(self, text: str, source: PassageRef) -> list[str | Annotation]:
        start, self._at = self._at, self._at + len(text)
        return [Annotation("file_citation", text, start, self._at, self.sources[source])]

    def _said(self, text: str) -> list[str | Annotation]:
        self._at += len(text)
        return [text] if text else []
