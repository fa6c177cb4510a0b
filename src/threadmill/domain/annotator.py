"""What a model's answer refers to, citations and links alike, becomes annotations while the text streams.

Two readers in a row: what the first gives as text, the second reads. Each counts only the text it has seen itself, so
the annotations' places in the whole are counted here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from threadmill.domain.citation import CitationParser, PassageFiles
from threadmill.domain.message import Annotation
from threadmill.domain.sandbox_link import SandboxFiles, SandboxLinkParser


class Annotator:
    """Reads one text piece by piece; `feed` and `close` give what is sure: plain text, or a marker as its Annotation.

    Indexes count the characters of the whole text from its beginning.
    """

    def __init__(self, links: SandboxFiles, sources: PassageFiles) -> None:
        self._citations: CitationParser = CitationParser(sources)
        self._links: SandboxLinkParser | None = SandboxLinkParser(links) if links else None
        self._at: int = 0

    def feed(self, piece: str) -> list[str | Annotation]:
        """What can be said after this piece."""
        return list(self._with_offsets(self._parse_links(self._citations.feed(piece))))

    def close(self) -> list[str | Annotation]:
        """What is left when the text ends."""
        left = self._parse_links(self._citations.close())
        if self._links is not None:
            left += self._links.close()
        return list(self._with_offsets(left))

    def _parse_links(self, parts: list[str | Annotation]) -> list[str | Annotation]:
        """The parts with the links in their text read as well. No link reaches across a citation."""
        if self._links is None:
            return parts
        read: list[str | Annotation] = []
        for part in parts:
            read += self._links.feed(part) if isinstance(part, str) else [*self._links.close(), part]
        return read

    def _with_offsets(self, parts: Iterable[str | Annotation]) -> Iterator[str | Annotation]:
        for part in parts:
            start = self._at
            self._at += len(part if isinstance(part, str) else part.text)
            yield part if isinstance(part, str) else replace(part, start_index=start, end_index=self._at)
