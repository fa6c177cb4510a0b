"""SandboxFiles to files of the sandbox in a model's answer, `sandbox:/mnt/data/plot.csv`, become annotations (behaviour.md 4).

The model writes them in as many pieces as it likes. A `SandboxLinkParser` hands text on at once and keeps back only what may
still become a link to a file that exists; each link comes whole, together with its annotation.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation

SANDBOX_PREFIX = "sandbox:/mnt/data/"

SandboxFiles: TypeAlias = Mapping[str, FileId]
"""Path below `/mnt/data` -> the file it names."""

_MARKDOWN = frozenset(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def spellings(character: str) -> tuple[str, ...]:
    """How models write a character of a path: as it is, with the escapes of a URL, of Markdown, or of HTML."""
    forms = [character, "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "replace"))]
    if character in _MARKDOWN:
        forms.append("\\" + character)
    if character == " ":
        forms.append("+")
    if character == "&":
        forms.append("&amp;")
    return tuple(forms)


def _forms(path: str) -> set[str]:
    """A path as it is and with its accents composed and decomposed: a Mac names files the one way, models the other."""
    return {path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)}


class _Reading(NamedTuple):
    """How far a text follows a path: the characters that are the whole path, or 0; and whether more may come."""

    length: int
    may_go_on: bool


def _follow(text: str, path: Sequence[tuple[str, ...]]) -> _Reading:
    """Read `path`, in any mixture of spellings, at the beginning of `text`."""
    places = {0}
    may_go_on = False
    for forms in path:
        following: set[int] = set()
        for place in places:
            for form in forms:
                written = text[place : place + len(form)]
                if written == form or (form[0] == "%" and written.lower() == form):
                    following.add(place + len(form))
                elif place + len(form) > len(text) and form.startswith(written.lower() if form[0] == "%" else written):
                    may_go_on = True
        if not following:
            return _Reading(0, may_go_on)
        places = following
    return _Reading(max(places), may_go_on)


@dataclass(slots=True)
class SandboxLinkParser:
    """Reads one text piece by piece; `feed` and `close` give what is sure: plain text, or a link as its Annotation.

    Indexes count the characters of the whole text from its beginning. A link to no known file is plain text.
    """

    links: SandboxFiles
    _at: int = 0
    _held: str = ""
    _paths: Sequence[tuple[str, Sequence[tuple[str, ...]]]] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        self._paths = [
            (path, [spellings(character) for character in form]) for path in self.links for form in _forms(path)
        ]

    def feed(self, piece: str) -> list[str | Annotation]:
        """What can be said after this piece."""
        text, self._held = self._held + piece, ""
        return list(self._read(text, final=False))

    def close(self) -> list[str | Annotation]:
        """What is left when the text ends."""
        text, self._held = self._held, ""
        return list(self._read(text, final=True))

    def _read(self, text: str, *, final: bool) -> Iterator[str | Annotation]:
        begin = 0
        while (found := text.find(SANDBOX_PREFIX, begin)) >= 0:
            rest = text[found + len(SANDBOX_PREFIX) :]
            read = [(path, _follow(rest, forms)) for path, forms in self._paths]
            if not final and any(reading.may_go_on for _, reading in read):
                yield from self._said(text[begin:found])
                self._held = text[found:]
                return
            path, length = self._best(rest, read)
            # A prefix that leads to no file is passed over, or it would be found again.
            end = found + len(SANDBOX_PREFIX) + length
            yield from self._said(text[begin : end if path is None else found])
            if path is not None:
                yield self._linked(text[found:end], path)
            begin = end
        kept = 0 if final else _half_prefix(text[begin:])
        yield from self._said(text[begin : len(text) - kept])
        self._held = text[len(text) - kept :]

    def _said(self, text: str) -> Iterator[str]:
        if text:
            self._at += len(text)
            yield text

    def _best(self, rest: str, read: Sequence[tuple[str, _Reading]]) -> tuple[str | None, int]:
        """The path and length of the longest link; of several that are the same text, the one that stands as it is."""
        fitting = [(path, reading.length) for path, reading in read if reading.length]
        return max(fitting, key=lambda one: (one[1], rest.startswith(one[0])), default=(None, 0))

    def _linked(self, link: str, path: str) -> Annotation:
        start, self._at = self._at, self._at + len(link)
        return Annotation("file_path", link, start, self._at, self.links[path])


def _half_prefix(text: str) -> int:
    """Characters at the end of `text` with which the prefix may have begun."""
    longest = min(len(text), len(SANDBOX_PREFIX) - 1)
    return next((size for size in range(longest, 0, -1) if SANDBOX_PREFIX.startswith(text[-size:])), 0)
