"""ODT and EPUB to text: both are zip archives of XML. Runs in the fenced process."""

import posixpath
from typing import Any
from urllib.parse import unquote

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.html import read_html
from threadmill.adapters.extract.office import MAX_PART, Archive, elements, events, local, spelling

MOST_BLANKS = 100
"""Blanks one element of an ODT may stand for."""


def read_odt(data: memoryview, out: TextBuffer) -> None:
    """Paragraphs, headings, tables and notes, then headers and footers; nothing that was struck out."""
    archive = Archive(data)
    out.notes.format = "ODT"
    if "content.xml" not in archive.names:
        raise UnreadableFile("The file is not an ODT document.")
    for part in ("content.xml", "styles.xml"):
        if part in archive.names:
            _read_open_document(archive, part, out)


def _read_open_document(archive: Archive, part: str, out: TextBuffer) -> None:
    reader = _OpenDocument(out)
    for event, element in events(archive, part, ("start", "end"), _OpenDocument.TAGS):
        if event == "start":
            reader.open(local(element))
        else:
            reader.close(local(element), element)


class _OpenDocument:
    """Words to lines; a table's row is one, its cells set apart by tabs."""

    TAGS = tuple(map("{{*}}{}".format, ("p", "h", "tracked-changes", "table-cell", "table-row")))

    def __init__(self, out: TextBuffer) -> None:
        self._out: TextBuffer = out
        self._cells: list[list[str]] = []
        self._row: list[str] = []
        self._struck: int = 0

    def open(self, name: str) -> None:
        self._struck += name == "tracked-changes"
        if name == "table-cell":
            self._cells.append([])

    def close(self, name: str, element: Any) -> None:
        if name in ("p", "h"):
            self._end_paragraph(_words(element))
            element.clear(keep_tail=True)
        elif name == "table-cell":
            self._row.append(" ".join(self._cells.pop()))
        elif name == "table-row":
            self._out.add("\t".join(self._row).rstrip() + "\n")
            self._row.clear()
        else:
            self._struck -= 1

    def _end_paragraph(self, text: str) -> None:
        if self._struck:
            return
        if self._cells:
            self._cells[-1].append(text)
        else:
            self._out.add(text + "\n")


def _words(paragraph: Any) -> str:
    """What a paragraph says; others within it have said theirs already."""
    said: list[str] = [paragraph.text or ""]
    for element in paragraph.iterdescendants():
        name = local(element)
        if name == "s":
            count = element.get("{urn:oasis:names:tc:opendocument:xmlns:text:1.0}c") or "1"
            said.append(" " * min(int(count) if count.isdecimal() else 1, MOST_BLANKS))
        said.append({"tab": "\t", "line-break": "\n"}.get(name, ""))
        said += [element.text or "", element.tail or ""]
    return "".join(said)


def read_epub(data: memoryview, out: TextBuffer) -> None:
    """The pages of a book in their order. Raises UnreadableFile."""
    archive = Archive(data)
    package = _package(archive)
    locked = _locked(archive)
    for page in _pages(archive, package):
        if page in locked:
            raise UnreadableFile("The book is encrypted: it can be read with its seller's programs only.")
        held = bytearray()
        source = archive.open(page)
        while piece := source.read(MAX_PART):
            held += piece
        read_html(memoryview(held), out)
        out.add("\n")
    out.notes.format = "EPUB"


def _package(archive: Archive) -> str:
    if "meta-inf/container.xml" in archive.names:
        for element in elements(archive, "meta-inf/container.xml"):
            path = spelling(element.get("full-path") or "")
            if local(element) == "rootfile" and path in archive.names:
                return path
    raise UnreadableFile("The file is not an EPUB book.")


def _pages(archive: Archive, package: str) -> list[str]:
    """The parts of the book's spine."""
    folder, parts, order = posixpath.dirname(package), dict[str, str](), list[str]()
    for element in elements(archive, package):
        if local(element) == "item":
            path = posixpath.normpath(posixpath.join(folder, spelling(unquote(element.get("href") or ""))))
            parts[element.get("id") or ""] = path
        elif local(element) == "itemref":
            order.append(element.get("idref") or "")
    return [part for part in dict.fromkeys(parts.get(name, "") for name in order) if part in archive.names]


def _locked(archive: Archive) -> frozenset[str]:
    if "meta-inf/encryption.xml" not in archive.names:
        return frozenset()
    found = elements(archive, "meta-inf/encryption.xml")
    return frozenset(spelling(unquote(one.get("URI") or "")) for one in found if local(one) == "CipherReference")
