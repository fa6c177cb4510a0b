"""Links to files of the sandbox in a model's answer, `sandbox:/mnt/data/plot.csv`, become annotations (behaviour.md 4).

The model writes them in as many pieces as it likes. A `SandboxLinkParser` hands text on at once and keeps back only what may
still become a link to a file that exists; each link comes whole, together with its annotation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

from threadmill.domain.ids import FileId
from threadmill.domain.message import Annotation

SANDBOX_PREFIX = "sandbox:/mnt/data/"

SandboxFiles: TypeAlias = Mapping[str, FileId]
"""Path below `/mnt/data` -> the file it names."""


def link_forms(links: SandboxFiles) -> dict[str, FileId]:
    """Every text that links to one of the files: models write a path as it is, or with the escapes of a URL."""
    return {SANDBOX_PREFIX + form: file_id for path, file_id in links.items() for form in (quote(path), path)}


@dataclass(slots=True)
class SandboxLinkParser:
    """Reads one text piece by piece; `feed` and `close` give what is sure: plain text, or a link as its Annotation.

    Indexes count the characters of the whole text from its beginning. A link to no known file is plain text.
    """

    links: SandboxFiles
    _at: int = 0
    _held: str = ""
    _spellings: dict[str, FileId] = field(default_factory=dict[str, FileId])

    def __post_init__(self) -> None:
        self._spellings = link_forms(self.links)

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
            rest = text[found:]
            if not final and any(len(link) > len(rest) and link.startswith(rest) for link in self._spellings):
                yield from self._said(text[begin:found])
                self._held = rest
                return
            link = max((link for link in self._spellings if rest.startswith(link)), key=len, default="")
            # A prefix that leads to no file is passed over, or it would be found again.
            end = found + (len(link) or len(SANDBOX_PREFIX))
            yield from self._said(text[begin : found if link else end])
            if link:
                yield self._linked(link)
            begin = end
        kept = 0 if final else _half_prefix(text[begin:])
        yield from self._said(text[begin : len(text) - kept])
        self._held = text[len(text) - kept :]

    def _said(self, text: str) -> Iterator[str]:
        if text:
            self._at += len(text)
            yield text

    def _linked(self, link: str) -> Annotation:
        start, self._at = self._at, self._at + len(link)
        return Annotation("file_path", link, start, self._at, self._spellings[link])


def _half_prefix(text: str) -> int:
    """Characters at the end of `text` with which the prefix may have begun."""
    longest = min(len(text), len(SANDBOX_PREFIX) - 1)
    return next((size for size in range(longest, 0, -1) if SANDBOX_PREFIX.startswith(text[-size:])), 0)
